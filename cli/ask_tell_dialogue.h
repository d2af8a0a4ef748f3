// The other end of `regatta ask-tell`: a line in, a line out. Knows no files, clock or streams.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/ask_tell_request.h"
#include "experiment/experiment.h"
#include "search/ask_tell.h"

namespace regatta {

class AskTellDialogue {
 public:
  // The experiment must outlive this.
  AskTellDialogue(const Experiment& experiment, const SearchConfig& config);

  // No more trials are handed out from now on.
  void close() { closed_ = true; }

  struct Answer {
    std::string line;                       // one JSON object, without the line's end
    std::optional<AskTellRequest> changed;  // the request, where it may have changed the search's state
  };
  // A mistake is answered with {"error": "…"}, and changes nothing.
  Answer answer(std::string_view line);
  Answer answer(const AskTellRequest& request);

 private:
  Answer answer_ask(const AskRequest& request);

  const Experiment& experiment_;
  AskTell search_;
  bool closed_ = false;
  bool asked_in_vain_ = false;  // and nothing has changed since
};

}  // namespace regatta
