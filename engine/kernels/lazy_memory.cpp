#include "engine/kernels/lazy_memory.hpp"

#include <cstdint>
#include <new>
#include <sys/mman.h>

namespace souffleur {

namespace {
constexpr std::size_t huge_page_bytes = 2U << 20;
} // namespace

std::shared_ptr<std::byte[]> lazy_memory(std::size_t size_bytes, page_kind kind) {
  // Mappings begin on small pages; one huge page more leaves room to begin on a huge one.
  const auto n = size_bytes + huge_page_bytes;
  void* at = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    throw std::bad_alloc{};
  if (kind == page_kind::huge)
    madvise(at, n, MADV_HUGEPAGE); // a wish: without huge pages everything works, slower
  auto* bytes = static_cast<std::byte*>(at);
  const std::shared_ptr<std::byte[]> whole{bytes, [n](std::byte* p) { munmap(p, n); }};
  const auto past = reinterpret_cast<std::uintptr_t>(bytes) % huge_page_bytes;
  return {whole, bytes + (huge_page_bytes - past) % huge_page_bytes};
}

} // namespace souffleur
