// Is the load generator fast and exact enough to measure servers? Against a server without a model, in this
// process: how many tokens a second one thread takes, what part of a core that costs, and how late requests
// are sent.
//
//   souffleur_load_generator_bench [CLIENTS [TOKENS_PER_S_OF_A_CLIENT]]
#include "examples/load/load_run.hpp"
#include "examples/load/punctual_thread.hpp"
#include "examples/load/summary.hpp"
#include "tests/load_generator/stub_server.hpp"

#include <cstdio>
#include <cstdlib>

#include <sys/resource.h>

namespace {

using namespace souffleur;
using namespace souffleur::load;

double cpu_s_of_this_thread() {
  rusage used{};
  getrusage(RUSAGE_THREAD, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

struct measured {
  load_outcome outcome;
  double cpu_s = 0;
};

measured run(const std::string& url, const load_settings& how) {
  boost::asio::io_context io{1};
  const auto where = make_target(url, false, {});
  const auto what = make_workload("chat", {});
  live_counts live;
  const bool stopping = false;
  const double before = cpu_s_of_this_thread();
  auto outcome = run_load(io, **where, **what, how, live, stopping);
  return {std::move(outcome), cpu_s_of_this_thread() - before};
}

void measure_throughput(const char* protocol, const std::string& url, int n_clients, int rate) {
  load_settings how;
  how.n_clients = n_clients;
  how.n_requests = 2 * n_clients;
  how.max_tokens = 2 * rate;
  const auto done = run(url, how);
  const auto sum = summarize(done.outcome, false, {});
  const double offered = static_cast<double>(n_clients) * rate;
  std::printf(
      "%s: %d streams of %d tokens/s, one token an event: %.0f tokens/s of %.0f offered, %.0f %% of a core, "
      "%.1f us a token; gaps p50 %.2f ms, p99 %.2f ms of %.2f\n",
      protocol, n_clients, rate, sum.output_tokens_per_s, offered, 100 * done.cpu_s / sum.duration_s,
      1e6 * done.cpu_s / static_cast<double>(sum.n_output_tokens),
      static_cast<double>(sum.itl.quantile(0.5)) / 1000, static_cast<double>(sum.itl.quantile(0.99)) / 1000,
      1000.0 / rate);
}

void print_lateness(const std::string& what, const load_outcome& outcome, request_role role) {
  histogram late_us;
  for (const auto& record : outcome.records)
    if (record.role == role && record.outcome == request_outcome::completed)
      late_us.add((record.sent_ns - record.intended_ns) / 1000);
  std::printf("%s: %ld requests written late by p50 %ld us, p99 %ld us, at most %ld us\n", what.c_str(),
              static_cast<long>(late_us.count()), static_cast<long>(late_us.quantile(0.5)),
              static_cast<long>(late_us.quantile(0.99)), static_cast<long>(late_us.max()));
}

void measure_punctuality(const std::string& url, double rate) {
  load_settings how;
  how.max_tokens = 1;
  how.n_requests = static_cast<int>(6 * rate);
  how.arrivals = [rate] { return make_arrivals({rate, rate, 0, 1, 5}); };
  print_lateness("Poisson, " + std::to_string(static_cast<int>(rate)) + "/s", run(url, how).outcome,
                 request_role::measured);
}

/// Of requests that are sent while tokens stream in.
void measure_punctuality_beside_streams(const char* protocol, const std::string& url, int n_clients,
                                        int rate) {
  load_settings how;
  how.n_clients = n_clients;
  how.n_requests = 2 * n_clients;
  how.max_tokens = 3 * rate;
  how.probe_rate = 300;
  print_lateness(std::string{protocol} + ", 300/s beside " + std::to_string(n_clients * rate) + " tokens/s",
                 run(url, how).outcome, request_role::probe);
}

} // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const int n_clients = argc > 1 ? std::atoi(argv[1]) : 200;
  const int rate = argc > 2 ? std::atoi(argv[2]) : 100;
  souffleur::testing::stub_behaviour steady;
  steady.interval = std::chrono::microseconds{1'000'000 / rate};
  souffleur::testing::stub_server server{steady};
  souffleur::testing::stub_server quick{{}};
  make_this_thread_punctual(); // not the servers' threads
  measure_throughput("SSE", server.http_url(), n_clients, rate);
  measure_throughput("WebSocket", server.stream_url(), n_clients, rate);
  measure_punctuality_beside_streams("SSE", server.http_url(), n_clients, rate);
  measure_punctuality_beside_streams("WebSocket", server.stream_url(), n_clients, rate);
  for (const double per_s : {100.0, 500.0})
    measure_punctuality(quick.http_url(), per_s);
}
