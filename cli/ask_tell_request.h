// One line of `regatta ask-tell`: what its client may say. docs/ask-tell.md is the grammar.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace regatta {

struct AskRequest {
  int count = 1;
};
struct ReportRequest {
  int trial = 0;
  int epoch = 0;
  std::vector<double> values;  // as the client wrote them; NaN where it wrote null or a word for it
};
struct TellRequest {
  int trial = 0;
  std::vector<double> values;
};
struct GiveUpRequest {
  int trial = 0;
  bool invalid = false;  // else failed
};
struct OpenRequest {};
struct BestRequest {};
using AskTellRequest =
    std::variant<AskRequest, ReportRequest, TellRequest, GiveUpRequest, OpenRequest, BestRequest>;

// The error is a sentence for the client.
Result<AskTellRequest> parse_request(std::string_view line);

// The line that parse_request reads as an equal request.
std::string request_line(const AskTellRequest& request);

}  // namespace regatta
