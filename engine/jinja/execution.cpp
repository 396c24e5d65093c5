#include "engine/jinja/execution.hpp"

#include "engine/jinja/concat.hpp"

namespace souffleur::jinja {

void execution::fail(std::string_view what) {
  if (error_) {
    return;
  }
  error_ = line_ > 0 ? concat("line ", std::to_string(line_), ": ", what) : std::string(what);
}

bool execution::step(std::int64_t n) {
  n_steps_ += n;
  if (n_steps_ > limits_.max_steps) {
    fail("the template takes too many steps");
    n_steps_ = limits_.max_steps;
  }
  return !failed();
}

bool execution::create(std::size_t n_bytes) {
  if (n_bytes > limits_.max_created_bytes - n_created_bytes_) {
    fail("the template makes too much data");
  } else {
    n_created_bytes_ += n_bytes;
  }
  return !failed();
}

execution::nested::nested(execution& run, int line) : run_(run), outer_line_(run.line_) {
  run_.line_ = line;
  if (++run_.depth_ > run_.limits_.max_depth) {
    run_.fail("the template nests too deeply");
  }
}

execution::nested::~nested() {
  --run_.depth_;
  run_.line_ = outer_line_;
}

bool text_writer::grow(std::size_t n_bytes) {
  if (n_bytes > run_.bounds().max_output_bytes - text_.size()) {
    run_.fail(concat("the text grows beyond ", std::to_string(run_.bounds().max_output_bytes), " bytes"));
  }
  return !run_.failed() && run_.create(n_bytes);
}

text_writer& text_writer::append(std::string_view text) {
  if (grow(text.size())) {
    text_.append(text);
  }
  return *this;
}

text_writer& text_writer::append(std::size_t n, char c) {
  if (grow(n)) {
    text_.append(n, c);
  }
  return *this;
}

} // namespace souffleur::jinja
