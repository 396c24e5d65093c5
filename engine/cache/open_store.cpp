#include "engine/cache/open_store.hpp"
namespace souffleur {
result<std::shared_ptr<answer_store>> open_store(const store_options&) { return std::shared_ptr<answer_store>{}; }
} // namespace souffleur
