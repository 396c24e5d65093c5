#include "net/page.hpp"

#include "net/embedded_file.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace souffleur {

namespace {

constexpr std::string_view folder = "/page/";

std::string_view content_type_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> types{
      {{".html", "text/html; charset=utf-8"},
       {".css", "text/css; charset=utf-8"},
       {".js", "text/javascript; charset=utf-8"},
       {".svg", "image/svg+xml"}}};
  for (const auto& [ending, type] : types)
    if (name.ends_with(ending))
      return type;
  return "application/octet-stream";
}

/// What another server of the same address may have otherwise is asked for again; a library changes seldom.
std::string_view cache_control_of(std::string_view name) {
  return name == "chart.js" ? "public, max-age=86400" : "no-cache";
}

} // namespace

const std::string_view page_security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::optional<page_file> find_page_file(std::string_view path) {
  const auto name = path == "/"                ? std::string_view{"index.html"}
                    : path.starts_with(folder) ? path.substr(folder.size())
                                               : std::string_view{};
  const auto files = page_files();
  const auto found = std::ranges::find(files, name, &embedded_file::name);
  if (found == files.end())
    return std::nullopt;
  return page_file{found->content, content_type_of(name), cache_control_of(name)};
}

} // namespace souffleur
