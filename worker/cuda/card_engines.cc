// One card: its communicator and exchange, and the choice of where the data stand.
#include "worker/card_engines.h"

#include <algorithm>

#include "base/log.h"
#include "data/cuda/resident_feed.h"
#include "models/cuda/batch.h"
#include "models/cuda/engine.h"
#include "worker/agreement.h"
#include "worker/cuda/card_exchange.h"

namespace regatta {
namespace {

class CudaCardEngines final : public CardEngines {
 public:
  CudaCardEngines(Communicator& crew, const CardOptions& options) : crew_(crew), options_(options) {}

  Status open(const Clock& clock) {
    RETURN_IF_ERROR(cuda::check(cudaSetDevice(options_.card), "choosing the card"));
    if (crew_.size() == 1) {
      return {};
    }
    ASSIGN_OR_RETURN(communicator_,
                     NcclCommunicator::create(
                         crew_, clock, {.card = options_.card, .shares_cards = options_.shares_cards}));
    ASSIGN_OR_RETURN(exchange_, CardExchange::make(*communicator_));
    return {};
  }

  Result<CardEngine> make(const ModelConfig& config, const EngineOptions& options,
                          const CardData& data) override {
    cuda::CudaEngineOptions device{.device = options_.card, .exchange = exchange_.get()};
    ASSIGN_OR_RETURN(const bool keeps, feed(device, data));
    ASSIGN_OR_RETURN(auto engine, cuda::make_cuda_engine(config, options, std::move(device)));
    return CardEngine{.engine = std::move(engine), .keeps_data = keeps};
  }

 private:
  Result<bool> feed(cuda::CudaEngineOptions& device, const CardData& data);

  Communicator& crew_;
  CardOptions options_;
  std::unique_ptr<NcclCommunicator> communicator_;
  std::unique_ptr<CardExchange> exchange_;  // ends before the communicator
};

}  // namespace

bool has_card_engines() { return true; }

Result<std::unique_ptr<CardEngines>> open_card(Communicator& crew, const Clock& clock,
                                               const CardOptions& options) {
  auto engines = std::make_unique<CudaCardEngines>(crew, options);
  RETURN_IF_ERROR(engines->open(clock));
  return std::unique_ptr<CardEngines>(std::move(engines));
}

}  // namespace regatta
