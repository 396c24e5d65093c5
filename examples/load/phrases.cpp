#include "examples/load/phrases.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace souffleur::load {

namespace {

const std::vector<std::string> subjects = {"rice",
                                           "coffee",
                                           "bread",
                                           "a bicycle",
                                           "the moon",
                                           "a violin",
                                           "honey",
                                           "a glacier",
                                           "cement",
                                           "a compass",
                                           "cotton",
                                           "the tide",
                                           "a telescope",
                                           "chess",
                                           "sourdough",
                                           "a volcano",
                                           "wool",
                                           "a lighthouse",
                                           "salt",
                                           "a mushroom",
                                           "copper",
                                           "the kidney",
                                           "a sailboat",
                                           "a piano",
                                           "paper",
                                           "an eclipse",
                                           "olive oil",
                                           "a hurricane",
                                           "glass",
                                           "a windmill",
                                           "chocolate",
                                           "a thermometer",
                                           "rubber",
                                           "an orchid",
                                           "a canal",
                                           "vinegar",
                                           "a battery",
                                           "a comet",
                                           "porcelain",
                                           "a greenhouse",
                                           "aluminium",
                                           "a beehive",
                                           "tea",
                                           "an earthquake",
                                           "ink",
                                           "a marathon",
                                           "a microscope",
                                           "yoghurt",
                                           "a suspension bridge",
                                           "leather",
                                           "a desert",
                                           "a dictionary",
                                           "soap",
                                           "a waterfall",
                                           "a tax return",
                                           "a spider web",
                                           "a lawn",
                                           "a sewing machine",
                                           "a coral reef",
                                           "a passport"};

const std::vector<std::string> questions = {
    "Explain to a child what makes {} special.",
    "What should everybody know about {}?",
    "Write a short paragraph about the history of {}.",
    "List five facts about {}.",
    "What are common mistakes when dealing with {}?",
    "How would you describe {} to somebody who has never seen or used it?",
    "Compare {} with {}.",
    "Write a short story in which {} and {} play a part.",
    "Which skills does somebody need who works with {}?",
    "Why might a museum show {}?",
    "Write a poem of eight lines about {}.",
    "What would the world be like without {}?"};

/// Of each kind, ways to ask that mean the same.
const std::vector<std::array<std::string, 4>> wordings = {
    {"What is {} used for?", "What do people use {} for?", "For what purposes is {} used?",
     "What can {} be used for?"},
    {"How much does {} cost?", "What is the price of {}?", "What does {} cost?", "How expensive is {}?"},
    {"Where can I buy {}?", "Where is {} sold?", "In which places can one buy {}?", "Where do I get {}?"},
    {"Who invented {}?", "Who was the inventor of {}?", "By whom was {} invented?",
     "Which person invented {}?"},
    {"How do I take care of {}?", "How should I look after {}?", "What is the best way to care for {}?",
     "How do I maintain {}?"},
    {"Why is {} important?", "What makes {} important?", "For what reason is {} important?",
     "Why does {} matter?"}};

const std::vector<std::pair<std::string, std::string>> alike = {
    {"Is {} good for children?", "Is {} bad for children?"},
    {"What are the advantages of {}?", "What are the disadvantages of {}?"},
    {"Is it safe to touch {}?", "Is it not safe to touch {}?"},
    {"When should I use {}?", "When should I not use {}?"},
    {"Why do people like {}?", "Why do people dislike {}?"},
    {"How do I increase the value of {}?", "How do I decrease the value of {}?"},
    {"What is the largest known example of {}?", "What is the smallest known example of {}?"},
    {"What happened to {} before 1900?", "What happened to {} after 1900?"},
    {"Is {} allowed on a plane?", "Is {} forbidden on a plane?"},
    {"Does {} get warmer in the sun?", "Does {} get colder in the sun?"}};

const std::vector<std::string> words = {
    "time",     "year",        "people",    "way",      "day",        "man",     "thing",   "woman",
    "life",     "child",       "world",     "school",   "state",      "family",  "student", "group",
    "country",  "problem",     "hand",      "part",     "place",      "case",    "week",    "company",
    "system",   "program",     "question",  "work",     "government", "number",  "night",   "point",
    "home",     "water",       "room",      "mother",   "area",       "money",   "story",   "fact",
    "month",    "lot",         "right",     "study",    "book",       "eye",     "job",     "word",
    "business", "issue",       "side",      "kind",     "head",       "house",   "service", "friend",
    "father",   "power",       "hour",      "game",     "line",       "end",     "member",  "law",
    "car",      "city",        "community", "name",     "president",  "team",    "minute",  "idea",
    "body",     "information", "back",      "parent",   "face",       "others",  "level",   "office",
    "door",     "health",      "person",    "art",      "war",        "history", "party",   "result",
    "change",   "morning",     "reason",    "research", "girl",       "guy",     "moment",  "air",
    "teacher",  "force",       "education", "table",    "green",      "small",   "open",    "early",
    "river",    "letter",      "market",    "north",    "window"};

const std::vector<std::string> sentences = {
    "The {} of the {} was known long before anybody wrote about it.",
    "In a later {} the {} was moved to another {}, where it has been since.",
    "Nobody in the {} asked why the {} had no {}.",
    "Each {} has a {} of its own, and that is why the {} differs.",
    "A report of that {} names the {} and the {}, but not the {}.",
    "It took the {} a long {} to see that the {} had changed.",
    "According to the {}, the {} is the oldest {} in the whole {}."};

const std::vector<std::string> verbs = {"load", "parse", "merge", "count", "filter",
                                        "sort", "write", "check", "scale", "join"};
const std::vector<std::string> nouns = {"records", "orders", "users", "lines",  "scores",
                                        "items",   "events", "pages", "prices", "nodes"};

/// Each {} becomes what `fill` gives.
template <class Fill>
std::string filled(const std::string& pattern, Fill fill) {
  std::string text;
  for (std::size_t at = 0;;) {
    const auto gap = pattern.find("{}", at);
    text += pattern.substr(at, gap - at);
    if (gap == std::string::npos)
      return text;
    text += fill();
    at = gap + 2;
  }
}

std::string any_function(seeded_random& random, const std::string& name, const std::string& what) {
  const auto limit = std::to_string(2 + random.below(90));
  return "def " + name + "(" + what + ", limit=" + limit + "):\n    result = []\n    for entry in " + what +
         ":\n        if entry is None:\n            continue\n        if len(result) >= limit:\n            "
         "break\n" +
         "        result.append(entry)\n    return result\n\n\n";
}

} // namespace

const std::string& any_subject(seeded_random& random) { return random.one_of(subjects); }
std::size_t n_subjects() { return subjects.size(); }
const std::string& subject(std::size_t i) { return subjects[i % subjects.size()]; }

std::string any_question(seeded_random& random) {
  return filled(random.one_of(questions), [&] { return any_subject(random); });
}

std::string any_prose(seeded_random& random, int n_words) {
  std::string text;
  for (int n = 0; n < n_words;) {
    auto sentence = filled(random.one_of(sentences), [&] { return random.one_of(words); });
    n += 1 + static_cast<int>(std::count(sentence.begin(), sentence.end(), ' '));
    text += (text.empty() ? "" : " ") + sentence;
  }
  return text;
}

std::string any_words(seeded_random& random, int n) {
  std::string text;
  for (int i = 0; i < n; ++i)
    text += (i == 0 ? "" : " ") + random.one_of(words);
  return text;
}

std::string worded(std::size_t i, std::size_t wording, const std::string& about) {
  return filled(wordings[i % wordings.size()][wording % 4], [&] { return about; });
}
std::size_t n_kinds() { return wordings.size(); }
std::size_t n_wordings() { return 4; }

std::pair<std::string, std::string> opposites(std::size_t i, const std::string& about) {
  const auto& pair = alike[i % alike.size()];
  const auto fill = [&] { return about; };
  return {filled(pair.first, fill), filled(pair.second, fill)};
}
std::size_t n_opposites() { return alike.size(); }

std::pair<std::string, std::string> any_code_edit(seeded_random& random) {
  std::string code;
  std::string name;
  const auto n_functions = 3 + random.below(3);
  for (std::size_t i = 0; i < n_functions; ++i) {
    const auto& what = random.one_of(nouns);
    name = random.one_of(verbs) + "_" + what + "_" + std::to_string(i);
    code += any_function(random, name, what);
  }
  return {code, "Rename the function " + name + " to " + random.one_of(verbs) +
                    "_everything and change nothing else."};
}

} // namespace souffleur::load
