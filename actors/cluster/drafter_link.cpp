#include "actors/cluster/drafter_link.hpp"

#include "actors/cluster/drafter_caller.hpp"

#include <atomic>

namespace souffleur {

namespace {

class caf_drafter_link final : public drafter_link {
public:
  caf_drafter_link(const cluster_config& config, const std::string& address, const drafted_model& target)
      : board_(std::make_shared<drafter_board>()), node_(config) {
    caller_ = node_.system.spawn(drafter_caller, config, address, target, board_,
                                 connector_of(node_.system, config));
  }
  ~caf_drafter_link() override {
    board_->close();
    caf::anon_send_exit(caller_, caf::exit_reason::user_shutdown);
    caller_ = nullptr;
  }

  void listen(drafter_listener listener) override { board_->listen(std::move(listener)); }
  std::uint64_t send(draft_order order) override {
    const auto number = order.number = ++n_orders_;
    compat::anon_send(caller_, outgoing_order{std::move(order)});
    return number;
  }

private:
  std::atomic<std::uint64_t> n_orders_{0};
  std::shared_ptr<drafter_board> board_;
  node_system node_;
  caf::actor caller_; ///< must go before the system
};

} // namespace

std::shared_ptr<drafter_link> drafter_link::start(const cluster_config& config, const std::string& address,
                                                  const std::string& model_name,
                                                  std::shared_ptr<const tokenizer> vocabulary, bool races) {
  return std::make_shared<caf_drafter_link>(config, address,
                                            drafted_model{model_name, std::move(vocabulary), races});
}

} // namespace souffleur
