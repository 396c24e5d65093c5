#include "net/commands/line_reader.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <iostream>
#include <memory>
#include <thread>

namespace souffleur {

namespace asio = boost::asio;

asio::awaitable<std::optional<std::string>> read_line() {
  struct waiting {
    explicit waiting(const asio::any_io_executor& on) : done{on, asio::steady_timer::time_point::max()} {}
    asio::steady_timer done;
    std::optional<std::string> line;
  };
  const auto executor = co_await asio::this_coro::executor;
  const auto shared = std::make_shared<waiting>(executor);
  std::thread([shared, executor, work = asio::make_work_guard(executor)] {
    std::string line;
    const bool is_there = static_cast<bool>(std::getline(std::cin, line));
    asio::post(executor, [shared, line = is_there ? std::optional{std::move(line)} : std::nullopt] {
      shared->line = line;
      shared->done.cancel();
    });
  }).detach();
  boost::system::error_code cancelled;
  co_await shared->done.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  co_return std::move(shared->line);
}

} // namespace souffleur
