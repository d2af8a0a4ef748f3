// Engines on the card of this rank. No CUDA type stands here: a build without CUDA has the same functions,
// which say that it has none.
#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "models/engine.h"
#include "models/model.h"

namespace regatta {

// Whether this build trains networks on cards.
bool has_card_engines();

struct CardOptions {
  int card = 0;               // as CUDA counts in this process
  bool shares_cards = false;  // with other ranks of the crew: for tests, and for trying things out
};

// What an engine is to be fed with.
struct CardData {
  Split train;
  Split validation;  // may be empty, as the test
  Split test;
  LoaderOptions training;
  LoaderOptions evaluation;  // of validation and test
};

struct CardEngine {
  std::unique_ptr<Engine> engine;
  // The card holds the data and makes the batches: the engine is told which batch it is (BatchView's epoch,
  // step and part), and no more. Else the host brings them.
  bool keeps_data = false;
};

// One a rank and card, for as long as the crew lives. One thread at a time.
class CardEngines {
 public:
  virtual ~CardEngines() = default;
  // Called by all ranks of the crew together; the engines end before the next is made, and before this.
  // Errors are those of this rank: the network cannot run on this card, or the card has not enough memory.
  virtual Result<CardEngine> make(const ModelConfig& config, const EngineOptions& options,
                                  const CardData& data) = 0;
};

// Of a card as CUDA counts in this process, which becomes the calling thread's; 0 where it cannot tell.
std::uint64_t free_card_bytes(int card);

// Called by all ranks of the crew together. The communicator and the clock outlive it.
Result<std::unique_ptr<CardEngines>> open_card(Communicator& crew, const Clock& clock,
                                               const CardOptions& options);

}  // namespace regatta
