#include "engine/model/model_folder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace souffleur {
namespace {

TEST(model_folder, aModelIsAFileOrANameInTheFolder) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("souffleur_models_" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  const auto file = folder / "tiny-0.5b.gguf";
  std::ofstream{file} << "x";
  EXPECT_EQ(find_model_file("tiny-0.5b", folder.string()), file.string());
  EXPECT_EQ(find_model_file(file.string(), "/nowhere"), file.string());
  EXPECT_EQ(find_model_file("other", folder.string()), "");
  EXPECT_EQ(find_model_file(folder.string(), folder.string()), "");
  std::filesystem::remove_all(folder);
}

} // namespace
} // namespace souffleur
