// Where a model computes.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace souffleur {

struct compute_device {
  int cuda = -1; ///< number of the CUDA device; -1: the CPU

  bool is_cpu() const { return cuda < 0; }
  bool operator==(const compute_device&) const = default;
};

inline std::string to_string(const compute_device& device) {
  return device.is_cpu() ? "cpu" : "cuda:" + std::to_string(device.cuda);
}

/// Of `cpu`, `cuda` (the first) or `cuda:N`.
inline std::optional<compute_device> compute_device_named(std::string_view name) {
  constexpr std::string_view cuda = "cuda";
  if (name == "cpu")
    return compute_device{};
  if (name == cuda)
    return compute_device{0};
  if (!name.starts_with(cuda) || name[cuda.size()] != ':')
    return std::nullopt;
  const auto number = name.substr(cuda.size() + 1);
  compute_device device;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), device.cuda);
  const bool is_number = error == std::errc{} && end == number.data() + number.size() && number[0] != '-';
  return is_number ? std::optional{device} : std::nullopt;
}

} // namespace souffleur
