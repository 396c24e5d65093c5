// What ThreadSanitizer is told of libraries. Nothing of ours stands here.

// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl*): the sanitizer's name for it
extern "C" const char* __tsan_default_suppressions() {
  // Locks two nodes of its graph at a time in no order; we never let two threads add to a graph.
  return "deadlock:hnswlib::HierarchicalNSW\n";
}
