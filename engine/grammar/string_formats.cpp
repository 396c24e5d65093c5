#include "engine/grammar/string_formats.hpp"

namespace souffleur::grammar {

namespace {

#define SOUFFLEUR_DATE                                                                                       \
  R"([1-9]\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8])))"
#define SOUFFLEUR_TIME R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))"
#define SOUFFLEUR_LABEL R"([a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?)"

struct format {
  std::string_view name;
  std::string_view pattern;
};
constexpr format formats[] = {
    {"date", SOUFFLEUR_DATE},
    {"time", SOUFFLEUR_TIME},
    {"date-time", SOUFFLEUR_DATE "T" SOUFFLEUR_TIME},
    {"duration", R"(P(\d{1,4}W|\d{1,4}D(T\d{1,4}(H|M|S))?|T\d{1,4}(H|M|S)))"},
    {"email", R"([a-zA-Z0-9_%+-]{1,24}(\.[a-zA-Z0-9_%+-]{1,24}){0,2}@)" SOUFFLEUR_LABEL
              R"((\.)" SOUFFLEUR_LABEL "){0,2}"
              R"(\.[a-zA-Z]{2,10})"},
    {"hostname", SOUFFLEUR_LABEL R"((\.)" SOUFFLEUR_LABEL "){0,4}"},
    {"ipv4", R"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3})"},
    {"ipv6", R"([0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){7})"},
    {"uri", R"((https?|ftp)://)" SOUFFLEUR_LABEL R"((\.)" SOUFFLEUR_LABEL
            R"(){0,4}(:[1-9]\d{0,3})?(/[a-zA-Z0-9._~%-]{1,64}){0,8}/?(\?[a-zA-Z0-9._~=&-]{0,128})?)"},
    {"uuid", R"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"},
};

#undef SOUFFLEUR_DATE
#undef SOUFFLEUR_TIME
#undef SOUFFLEUR_LABEL

} // namespace

std::optional<std::string_view> pattern_of_format(std::string_view name) {
  for (const auto& [known, pattern] : formats)
    if (known == name)
      return pattern;
  return std::nullopt;
}

} // namespace souffleur::grammar
