#include "examples/load/live_progress.hpp"

#include <cstdio>
#include <unistd.h>

namespace souffleur::load {

namespace {

double seconds(time_point from, time_point to) { return std::chrono::duration<double>(to - from).count(); }

} // namespace

live_progress::live_progress(boost::asio::io_context& io, std::string name, live_counts& live)
    : timer_(io), name_(std::move(name)), live_(live), on_terminal_(isatty(STDERR_FILENO) == 1),
      begun_(std::chrono::steady_clock::now()), looked_(begun_), seen_(live) {
  wait();
}

live_progress::~live_progress() {
  if (on_terminal_)
    std::fputs("\r\033[K", stderr);
}

void live_progress::wait() {
  timer_.expires_after(std::chrono::seconds{on_terminal_ ? 1 : 5});
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error)
      return;
    show();
    wait();
  });
}

void live_progress::show() {
  const auto now = std::chrono::steady_clock::now();
  const double s = seconds(looked_, now);
  std::fprintf(stderr,
               "%s%s  %.0f s: %lld in flight, %lld done, %lld failed; %.1f requests/s, %.0f outputs/s",
               on_terminal_ ? "\r\033[K" : "", name_.c_str(), seconds(begun_, now),
               static_cast<long long>(live_.n_in_flight), static_cast<long long>(live_.n_ended),
               static_cast<long long>(live_.n_failed), static_cast<double>(live_.n_ended - seen_.n_ended) / s,
               static_cast<double>(live_.n_outputs - seen_.n_outputs) / s);
  if (live_.ttft_us.count() > 0)
    std::fprintf(stderr, "; TTFT p50 %.0f ms", static_cast<double>(live_.ttft_us.quantile(0.5)) / 1000);
  if (!on_terminal_)
    std::fputc('\n', stderr);
  std::fflush(stderr);
  live_.ttft_us = {};
  seen_ = live_;
  looked_ = now;
}

} // namespace souffleur::load
