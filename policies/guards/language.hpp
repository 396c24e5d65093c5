// In which script, and if it is easy to tell in which language, a text is written.
#pragma once

#include "policies/guards/words.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace souffleur::guards {

/// "latin", "cyrillic", "han"...: of most letters of `text` (UTF-8). Empty if it has none.
std::string script_of(std::string_view text);

/// "en", "de"... by the small words; empty if two languages share them alike or there are none.
std::string language_of(const std::vector<word>& words);

} // namespace souffleur::guards
