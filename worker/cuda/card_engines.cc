// One card: its communicator and exchange, and the choice of where the data stand.
#include "worker/card_engines.h"

#include <array>

#include "base/log.h"
#include "data/cuda/resident_feed.h"
#include "models/cuda/batch.h"
#include "models/cuda/engine.h"
#include "models/cuda/libraries.h"
#include "models/cuda/runtime.h"
#include "worker/agreement.h"
#include "worker/cuda/card_exchange.h"

namespace regatta {
namespace {

constexpr std::size_t kPartForData =
    2;  // data that take more of the free memory than one in so many stay out

class CudaCardEngines final : public CardEngines {
 public:
  CudaCardEngines(Communicator& crew, const CardOptions& options) : crew_(crew), options_(options) {}

  Status open(const Clock& clock) {
    RETURN_IF_ERROR(agree(open_libraries()));
    if (crew_.size() == 1) {
      return {};
    }
    ASSIGN_OR_RETURN(communicator_,
                     NcclCommunicator::create(
                         crew_, clock, {.card = options_.card, .shares_cards = options_.shares_cards}));
    return agree(open_exchange());
  }

  Result<CardEngine> make(const ModelConfig& config, const EngineOptions& options,
                          const CardData& data) override {
    cuda::CudaEngineOptions device{
        .device = options_.card, .exchange = exchange_.get(), .libraries = libraries_.get()};
    ASSIGN_OR_RETURN(const bool keeps, feed(device, data));
    ASSIGN_OR_RETURN(auto engine, cuda::make_cuda_engine(config, options, std::move(device)));
    return CardEngine{.engine = std::move(engine), .keeps_data = keeps};
  }

 private:
  Status open_libraries() {
    RETURN_IF_ERROR(cuda::check(cudaSetDevice(options_.card), "choosing the card"));
    ASSIGN_OR_RETURN(libraries_, cuda::open_libraries());
    return {};
  }
  Status open_exchange() {
    ASSIGN_OR_RETURN(exchange_, CardExchange::make(*communicator_));
    return {};
  }
  // Fails on every rank where it has on one, so that all go on with the same operations.
  Status agree(const Status& mine) {
    ASSIGN_OR_RETURN(const auto failed, first_failure(crew_, mine));
    return failed ? Status(failure(*failed)) : Status();
  }
  // Whether the data fit: feeds that make the batches of them, for the engine to take.
  Result<bool> feed(cuda::CudaEngineOptions& device, const CardData& data);

  Communicator& crew_;
  CardOptions options_;
  std::unique_ptr<cuda::Libraries> libraries_;
  cuda::ResidentDatasets datasets_;
  std::unique_ptr<CardExchange> exchange_;  // ends after the communicator, which has used its stream
  std::unique_ptr<NcclCommunicator> communicator_;
};

Result<bool> CudaCardEngines::feed(cuda::CudaEngineOptions& device, const CardData& data) {
  const std::array training = {cuda::ResidentPart{.split = data.train, .options = data.training}};
  const std::array evaluation = {cuda::ResidentPart{.split = data.validation, .options = data.evaluation},
                                 cuda::ResidentPart{.split = data.test, .options = data.evaluation}};
  const std::size_t held =
      datasets_.held_bytes();  // perhaps the very data: they do not count against themselves
  std::size_t free = 0;
  std::size_t total = 0;
  RETURN_IF_ERROR(cuda::check(cudaMemGetInfo(&free, &total), "asking for the card's memory"));
  const std::size_t bytes = cuda::resident_bytes(training) + cuda::resident_bytes(evaluation);
  if (bytes > (free + held) / kPartForData) {
    spdlog::info("the data ({} MiB) stay on the host: the card has {} MiB free", bytes >> 20, free >> 20);
    return false;
  }
  ASSIGN_OR_RETURN(device.training_feed, cuda::make_resident_feed(datasets_, training));
  if (data.validation.count() + data.test.count() > 0) {
    ASSIGN_OR_RETURN(device.evaluation_feed, cuda::make_resident_feed(datasets_, evaluation));
  }
  return true;
}

}  // namespace

bool has_card_engines() { return true; }

std::uint64_t free_card_bytes(int card) {
  std::size_t free = 0;
  std::size_t total = 0;
  return cudaSetDevice(card) == cudaSuccess && cudaMemGetInfo(&free, &total) == cudaSuccess ? free : 0;
}

Result<std::unique_ptr<CardEngines>> open_card(Communicator& crew, const Clock& clock,
                                               const CardOptions& options) {
  auto engines = std::make_unique<CudaCardEngines>(crew, options);
  RETURN_IF_ERROR(engines->open(clock));
  return std::unique_ptr<CardEngines>(std::move(engines));
}

}  // namespace regatta
