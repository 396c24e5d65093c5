// What a message is after it has travelled.
#pragma once

#include <caf/all.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace souffleur::testing {

class travelling : public ::testing::Test {
protected:
  template <class T>
  std::vector<char> bytes_of(T value) {
    std::vector<char> bytes;
    caf::binary_serializer sink{system_, bytes};
    EXPECT_FALSE(sink(value));
    return bytes;
  }
  template <class T>
  T travelled(const T& value) {
    const auto bytes = bytes_of(value);
    T arrived{};
    caf::binary_deserializer source{system_, bytes};
    EXPECT_FALSE(source(arrived));
    EXPECT_EQ(bytes_of(arrived), bytes);
    return arrived;
  }
  /// Whatever is missing at the end is an error and no crash.
  template <class T>
  void expect_refuses_cuts(const T& value) {
    auto bytes = bytes_of(value);
    while (!bytes.empty()) {
      bytes.pop_back();
      T arrived{};
      caf::binary_deserializer source{system_, bytes};
      EXPECT_TRUE(source(arrived)) << bytes.size();
    }
  }

private:
  caf::actor_system_config config_;
  caf::actor_system system_{config_};
};

} // namespace souffleur::testing
