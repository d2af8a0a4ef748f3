// What a study has learned from earlier ones, as text for its own file: it goes on the same without them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "search/context.h"

namespace regatta {

// JSON; an empty text stands for no studies. Reads back bit by bit.
std::string encode_learned(const std::vector<EarlierStudy>& studies);
Result<std::vector<EarlierStudy>> decode_learned(const std::string& text);

}  // namespace regatta
