// Answers by meaning. usage: [EMBEDDING_MODEL [STORE]]; a store, a file or redis://HOST, keeps them as well.
#include <souffleur/engine/cache/answer_cache.hpp>
#include <souffleur/engine/cache/open_store.hpp>
#include <souffleur/engine/embedding/text_embedder.hpp>
#include <souffleur/policies/lexical_guards.hpp>

#include <cstdio>

int main(int argc, char** argv) {
  using namespace souffleur;
  const auto embedder = load_embedder(argc > 1 ? argv[1] : "minilm");
  store_options where;
  where.where = argc > 2 ? argv[2] : "memory";
  const auto store = open_store(where);
  if (!embedder || !store)
    return std::fprintf(stderr, "%s\n", (embedder ? store.error() : embedder.error()).c_str()), 1;
  answer_cache_options options;
  options.embedder = (*embedder)->fingerprint();
  answer_cache cache{options, make_answer_eviction("gdsf")};

  cache_entry entry;
  entry.question = "How long do I have to boil an egg?";
  entry.embedding = (*embedder)->vector_of(entry.question);
  entry.embedder = options.embedder;
  entry.expires_s = 100;
  entry.answer = std::make_shared<const cached_answer>(cached_answer{{}, "Ten minutes.", "", 3});
  cache.insert(std::make_shared<const cache_entry>(entry), 1); // set
  if (*store && (!(*store)->put(entry) || !(*store)->get(entry.exact, 1)))
    return std::fprintf(stderr, "the store does not answer\n"), 1;

  for (const char* question :
       {"How long must I boil an egg?", "How long must I not boil an egg?", "Who wrote Faust?"}) {
    const auto found = cache.similar(entry.partition, (*embedder)->vector_of(question), 1, 1).at(0); // get
    const auto guard = compare(question, found.entry->question);
    const auto& answer = found.similarity < 0.85 ? "too far"
                         : guard.passes()        ? found.entry->answer->text()
                                                 : guard.why;
    std::printf("%-33s similarity %.3f: %s\n", question, found.similarity, answer.c_str());
  }
}
