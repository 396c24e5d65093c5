// A CUDA device's memory, its queue of kernels and its recorded steps.
#include "engine/cuda/cuda_backend.hpp"
#include "engine/cuda/launch.cuh"

namespace souffleur::cuda {

namespace {

/// A recorded step; destroyed with the last copy of its function.
class recording {
public:
  explicit recording(cudaGraph_t graph) { cudaGraphInstantiate(&executable_, graph, 0); }
  ~recording() { cudaGraphExecDestroy(executable_); }
  recording(const recording&) = delete;
  recording& operator=(const recording&) = delete;
  void run(cudaStream_t stream) const { cudaGraphLaunch(executable_, stream); }

private:
  cudaGraphExec_t executable_ = nullptr;
};

std::string name_and_capability(const cudaDeviceProp& properties) {
  return std::string{properties.name} + " has compute capability " + std::to_string(properties.major) + "." +
         std::to_string(properties.minor);
}

class cuda_backend final : public backend {
public:
  cuda_backend(const cudaDeviceProp& properties, const cuda_options& options)
      : name_(properties.name), device_(options.device) {
    cudaStreamCreateWithFlags(&queue_.stream, cudaStreamNonBlocking);
    queue_.overlaps = options.overlaps_launches;
  }
  ~cuda_backend() override { cudaStreamDestroy(queue_.stream); }

  std::string name() const override { return name_; }
  void enter() override { cudaSetDevice(device_); }

  std::shared_ptr<std::byte> allocate(std::size_t size_bytes) override {
    void* memory = nullptr;
    if (cudaMalloc(&memory, size_bytes) != cudaSuccess)
      return nullptr;
    cudaMemsetAsync(memory, 0, size_bytes, queue_.stream);
    return {static_cast<std::byte*>(memory), [](std::byte* at) { cudaFree(at); }};
  }

  std::shared_ptr<std::byte> allocate_on_host(std::size_t size_bytes) override {
    void* memory = nullptr;
    if (cudaMallocHost(&memory, size_bytes) != cudaSuccess)
      return nullptr;
    return {static_cast<std::byte*>(memory), [](std::byte* at) { cudaFreeHost(at); }};
  }

  void queue_upload(const void* from, void* to, std::size_t size_bytes) override {
    cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyHostToDevice, queue_.stream);
  }
  void upload(const void* from, void* to, std::size_t size_bytes) override {
    cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyHostToDevice, queue_.stream);
    cudaStreamSynchronize(queue_.stream); // `from` may go
  }
  void download(const void* from, void* to, std::size_t size_bytes) override {
    cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyDeviceToHost, queue_.stream);
    cudaStreamSynchronize(queue_.stream);
  }

  void copy(const void* from, void* to, std::size_t size_bytes) override {
    cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyDeviceToDevice, queue_.stream);
  }

  void wait() override { cudaStreamSynchronize(queue_.stream); }
  std::string take_error() override {
    auto code = cudaStreamSynchronize(queue_.stream);
    const auto last = cudaGetLastError();
    if (code == cudaSuccess)
      code = last;
    return code == cudaSuccess ? std::string{}
                               : std::string{cudaGetErrorName(code)} + ": " + cudaGetErrorString(code);
  }

  void embed(const device_matrix& weights, const std::int32_t* tokens, int n_rows, float scale,
             float* x) override {
    launch_embed(queue_, weights, tokens, n_rows, scale, x);
  }
  void normalise(const norm_call& call) override { launch_normalise(queue_, call); }
  void multiply(const matmul_call& call) override { launch_multiply(queue_, call); }
  void rotate_and_store(const store_call& call) override { launch_rotate_and_store(queue_, call); }
  void turn(const turn_call& call) override { launch_turn(queue_, call); }
  void attend(const attention_call& call) override { launch_attend(queue_, call); }
  void choose(const argmax_call& call) override { launch_choose(queue_, call); }
  void draw(const draw_call& call) override { launch_draw(queue_, call); }
  void accept(const acceptance_call& call) override { launch_accept(queue_, call); }
  void advance(const advance_call& call) override { launch_advance(queue_, call); }

  step record(const step& queue) override {
    cudaGraph_t graph = nullptr;
    cudaStreamBeginCapture(queue_.stream, cudaStreamCaptureModeThreadLocal);
    queue();
    cudaStreamEndCapture(queue_.stream, &graph);
    const auto recorded = std::make_shared<const recording>(graph);
    cudaGraphDestroy(graph);
    return [recorded, stream = queue_.stream] { recorded->run(stream); };
  }

private:
  std::string name_;
  int device_;
  launch_queue queue_;
};

} // namespace

result<std::unique_ptr<backend>> make_cuda_backend(const cuda_options& options) {
  const auto complaint = [&](const std::string& why) {
    return failure{"CUDA device " + std::to_string(options.device) + ": " + why};
  };
  cudaDeviceProp properties{};
  auto code = cudaGetDeviceProperties(&properties, options.device);
  if (code == cudaSuccess)
    code = cudaSetDevice(options.device);
  if (code == cudaErrorInsufficientDriver || code == cudaErrorNoDevice)
    return complaint("there is no device, or its driver knows no CUDA " +
                     std::to_string(CUDART_VERSION / 1000));
  if (code != cudaSuccess)
    return complaint(cudaGetErrorString(code));
  if (properties.major < 9)
    return complaint(name_and_capability(properties) + ", and the kernels need 9.0");
  return std::unique_ptr<backend>{std::make_unique<cuda_backend>(properties, options)};
}

} // namespace souffleur::cuda
