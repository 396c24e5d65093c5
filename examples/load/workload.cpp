#include "examples/load/workload.hpp"

#include "examples/load/phrases.hpp"

#include <boost/json/parse.hpp>

#include <fstream>

namespace souffleur::load {

namespace {

/// Dialogues of different loads of one run do not share what is common to those of one load: i has the load
/// in its high half.
std::uint64_t load_of(std::uint64_t i) { return i >> 32; }

class seeded_workload : public workload {
public:
  explicit seeded_workload(workload_options options) : options_(std::move(options)) {}

  dialogue at(std::uint64_t i) const final {
    seeded_random random{options_.seed, i};
    auto made = make(i, random);
    if (options_.unique) {
      auto& first = made.system.empty() ? made.turns.front().user : made.system;
      first = "Conversation " + std::to_string(random.next()) + ". " + first;
    }
    return made;
  }

protected:
  virtual dialogue make(std::uint64_t i, seeded_random& random) const = 0;
  /// One of the `n_shared` things that the dialogues of one load share: the same for the same `which`.
  seeded_random shared(std::uint64_t i, std::size_t which) const {
    return {options_.seed + 0x5EED * (load_of(i) + 1), which};
  }
  std::size_t any_shared(seeded_random& random) const {
    return random.below(static_cast<std::size_t>(options_.n_shared));
  }
  double any_pause(seeded_random& random) const { return random.exponential(options_.think_s); }

  const workload_options options_;
};

class chat final : public seeded_workload {
public:
  chat(workload_options options, std::vector<dialogue> prompts)
      : seeded_workload(std::move(options)), prompts_(std::move(prompts)) {}

private:
  dialogue make(std::uint64_t i, seeded_random& random) const override {
    if (prompts_.empty())
      return {"", {{any_question(random)}}};
    // Each once, in an order of this round, before the next round begins.
    const auto n = prompts_.size();
    const auto at = static_cast<std::size_t>(i & 0xFFFFFFFF) + static_cast<std::size_t>(load_of(i)) * 7919;
    seeded_random of_round{options_.seed, ~(at / n)};
    std::vector<std::size_t> order(n);
    for (std::size_t k = 0; k < n; ++k) {
      order[k] = k;
      std::swap(order[k], order[of_round.below(k + 1)]);
    }
    auto made = prompts_[order[at % n]];
    for (auto& turn : made.turns)
      turn.think_s = turn.after < 0 ? 0 : any_pause(random);
    return made;
  }

  std::vector<dialogue> prompts_;
};

class shared_prefix final : public seeded_workload {
  using seeded_workload::seeded_workload;
  dialogue make(std::uint64_t i, seeded_random& random) const override {
    auto common = shared(i, any_shared(random));
    return {"You answer for an office that has these rules. " + any_prose(common, options_.prompt_words),
            {{any_question(random)}}};
  }
};

class multi_turn final : public seeded_workload {
  using seeded_workload::seeded_workload;
  dialogue make(std::uint64_t, seeded_random& random) const override {
    const auto& about = any_subject(random);
    dialogue made{"You answer in a few sentences.", {{"Tell me about " + about + "."}}};
    for (int n = 1; n < options_.n_turns; ++n)
      made.turns.push_back(
          {"And how does that compare with " + any_subject(random) + "?", n - 1, any_pause(random)});
    return made;
  }
};

class rag final : public seeded_workload {
  using seeded_workload::seeded_workload;
  dialogue make(std::uint64_t i, seeded_random& random) const override {
    std::string found;
    for (int n = 1; n <= 2; ++n) {
      auto document = shared(i, any_shared(random));
      found += "Document " + std::to_string(n) + ": " + any_prose(document, options_.prompt_words) + "\n\n";
    }
    return {"Answer from the documents alone, and quote the sentence that you used.",
            {{found + "Question: what do the documents say about the " + any_words(random, 1) + "?"}}};
  }
};

class code_edit final : public seeded_workload {
  using seeded_workload::seeded_workload;
  dialogue make(std::uint64_t, seeded_random& random) const override {
    const auto [code, order] = any_code_edit(random);
    return {"", {{order + " Answer with the whole file.\n\n```python\n" + code + "```"}}};
  }
};

/// A plan, three workers that begin with it at the same time, and what each is asked next.
class agent_tree final : public seeded_workload {
  using seeded_workload::seeded_workload;
  dialogue make(std::uint64_t i, seeded_random& random) const override {
    auto tools = shared(i, 0);
    dialogue made{"You are an agent. Your tools: search(text), read(page), write(page, text). " +
                      any_prose(tools, options_.prompt_words),
                  {{"Make a plan in three steps: find out all about " + any_subject(random) + "."}}};
    for (int worker = 1; worker <= 3; ++worker)
      made.turns.push_back(
          {"Carry out step " + std::to_string(worker) + ". Which tool do you call first?", 0});
    for (int worker = 1; worker <= 3; ++worker)
      made.turns.push_back({"The tool answered: " + any_prose(random, 30) + " What do you do next?", worker});
    return made;
  }
};

class repeated final : public seeded_workload {
  using seeded_workload::seeded_workload;
  dialogue make(std::uint64_t i, seeded_random& random) const override {
    // Few subjects are asked about often.
    const auto which = std::min(any_shared(random), any_shared(random));
    const auto at = shared(i, which).next();
    return {"",
            {{worded(static_cast<std::size_t>(at % n_kinds()), random.below(n_wordings()),
                     subject(static_cast<std::size_t>(at >> 8)))}}};
  }
};

/// The dialogues 2k and 2k + 1 look alike and mean opposite things; pairs have nothing in common until all
/// were asked.
class traps final : public seeded_workload {
  using seeded_workload::seeded_workload;
  dialogue make(std::uint64_t i, seeded_random&) const override {
    const auto pair =
        static_cast<std::size_t>((i & 0xFFFFFFFF) / 2) + static_cast<std::size_t>(load_of(i)) * 101;
    const auto [one, other] =
        opposites(pair / n_subjects(), subject(pair + static_cast<std::size_t>(options_.seed)));
    return {"", {{i % 2 == 0 ? one : other}}};
  }
};

class random_words final : public seeded_workload {
  using seeded_workload::seeded_workload;
  dialogue make(std::uint64_t, seeded_random& random) const override {
    const auto half = static_cast<std::size_t>(options_.prompt_words / 2);
    return {"", {{any_words(random, static_cast<int>(half + random.below(2 * half + 1)))}}};
  }
};

/// What a server gets on a common day: dialogues of four kinds in turn.
class mixed final : public workload {
public:
  explicit mixed(const workload_options& options) {
    kinds_.push_back(std::make_unique<shared_prefix>(options));
    kinds_.push_back(std::make_unique<repeated>(options));
    kinds_.push_back(std::make_unique<code_edit>(options));
    kinds_.push_back(std::make_unique<multi_turn>(options));
  }
  dialogue at(std::uint64_t i) const override { return kinds_[i % kinds_.size()]->at(i); }

private:
  std::vector<std::unique_ptr<workload>> kinds_;
};

result<std::vector<dialogue>> read_prompts(const std::string& path) {
  std::ifstream file{path};
  if (!file)
    return failure{"cannot read \"" + path + "\""};
  std::vector<dialogue> read;
  int n_lines = 0;
  for (std::string line; std::getline(file, line);) {
    ++n_lines;
    boost::system::error_code error;
    const auto value = boost::json::parse(line, error);
    const auto* turns = !error && value.is_object() ? value.get_object().if_contains("turns") : nullptr;
    if (turns == nullptr || !turns->is_array() || turns->get_array().empty())
      return failure{path + ", line " + std::to_string(n_lines) +
                     ": not an object with \"turns\", a list of strings"};
    dialogue made;
    for (const auto& text : turns->get_array()) {
      if (!text.is_string())
        return failure{path + ", line " + std::to_string(n_lines) + ": \"turns\" has what is not a string"};
      const auto n = static_cast<int>(made.turns.size());
      made.turns.push_back({std::string{text.get_string()}, n - 1});
    }
    read.push_back(std::move(made));
  }
  if (read.empty())
    return failure{path + ": no prompts"};
  return read;
}

} // namespace

const std::vector<workload_name>& workload_names() {
  static const std::vector<workload_name> names = {
      {"chat", "questions of one turn, or those of --prompts"},
      {"shared_prefix", "questions under one of --shared long system prompts"},
      {"multi_turn", "conversations of --turns turns with pauses of --think-s"},
      {"rag", "two of --shared long documents and a question"},
      {"code_edit", "a file to be repeated with one name changed"},
      {"agent_tree", "a plan, three workers at once that begin with it, and their next steps"},
      {"repeated", "few questions in many wordings"},
      {"traps", "pairs of questions that look alike and mean opposite things"},
      {"mixed", "shared_prefix, repeated, code_edit and multi_turn in turn"},
      {"random", "about --prompt-words common words without sense"}};
  return names;
}

result<std::unique_ptr<workload>> make_workload(const std::string& name, const workload_options& options) {
  using made = std::unique_ptr<workload>;
  if (name == "chat") {
    if (options.prompts.empty())
      return made{std::make_unique<chat>(options, std::vector<dialogue>{})};
    auto prompts = read_prompts(options.prompts);
    if (!prompts)
      return failure{prompts.error()};
    return made{std::make_unique<chat>(options, std::move(*prompts))};
  }
  if (name == "shared_prefix")
    return made{std::make_unique<shared_prefix>(options)};
  if (name == "multi_turn")
    return made{std::make_unique<multi_turn>(options)};
  if (name == "rag")
    return made{std::make_unique<rag>(options)};
  if (name == "code_edit")
    return made{std::make_unique<code_edit>(options)};
  if (name == "agent_tree")
    return made{std::make_unique<agent_tree>(options)};
  if (name == "repeated")
    return made{std::make_unique<repeated>(options)};
  if (name == "traps")
    return made{std::make_unique<traps>(options)};
  if (name == "mixed")
    return made{std::make_unique<mixed>(options)};
  if (name == "random")
    return made{std::make_unique<random_words>(options)};
  std::string known;
  for (const auto& each : workload_names())
    known += std::string{known.empty() ? "" : ", "} + each.name;
  return failure{"no workload \"" + name + "\"; there are " + known};
}

} // namespace souffleur::load
