// Tokens are numbered in the order of their code, so that the numbers do not depend on where they occur.
#include "data/text_tokens.h"

#include <fmt/format.h>

#include <map>

#include "base/progress.h"

namespace regatta {
namespace {

// The length in bytes of the character that begins at `at`, or 0 where the text is not UTF-8 (RFC 3629).
std::size_t character_length(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const std::size_t length = first < 0x80U                     ? 1
                             : first >= 0xC2U && first < 0xE0U ? 2
                             : first >= 0xE0U && first < 0xF0U ? 3
                             : first >= 0xF0U && first < 0xF5U ? 4
                                                               : 0;
  if (length == 0 || at + length > text.size()) {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[at + i]) & 0xC0U) != 0x80U) {
      return 0;
    }
  }
  return length;
}

Result<std::vector<std::string_view>> split_tokens(std::string_view text, bool bytes) {
  std::vector<std::string_view> tokens;
  tokens.reserve(text.size());
  std::int64_t line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = bytes ? 1 : character_length(text, at);
    if (length == 0) {
      return user_mistake(fmt::format("line {} is not UTF-8; write `tokens: bytes`", line));
    }
    if (text[at] == '\n') {
      ++line;
      note_progress();
    }
    tokens.push_back(text.substr(at, length));
    at += length;
  }
  return tokens;
}

// A byte that is no character by itself is named by its number.
std::string name_of(std::string_view token) {
  const auto first = static_cast<unsigned char>(token.front());
  return token.size() == 1 && first >= 0x80U ? fmt::format("\\x{:02x}", first) : std::string(token);
}

template <class T>
std::vector<T> first_numbers(const std::vector<std::int32_t>& numbers, std::size_t count) {
  return {numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

Result<Dataset> make_text_dataset(std::string_view text, const TextOptions& options) {
  ASSIGN_OR_RETURN(const auto tokens, split_tokens(text, options.bytes));
  const std::int64_t samples = (static_cast<std::int64_t>(tokens.size()) - 1) / options.context;
  if (samples < 1) {
    return user_mistake(
        fmt::format("{} tokens are too few for a context of {}", tokens.size(), options.context));
  }
  std::map<std::string_view, std::int32_t> vocabulary;
  for (const std::string_view token : tokens) {
    note_progress();
    vocabulary.emplace(token, 0);
  }
  if (vocabulary.size() < 2) {
    return user_mistake("every token is the same; there must be at least 2 different ones");
  }
  Dataset dataset{.sample_shape = {options.context}, .count = samples, .positions = options.context};
  for (auto& [token, number] : vocabulary) {
    number = static_cast<std::int32_t>(dataset.class_names.size());
    dataset.class_names.push_back(name_of(token));
  }
  const auto used = static_cast<std::size_t>(samples * options.context);
  std::vector<std::int32_t> numbers;
  numbers.reserve(used + 1);
  for (std::size_t i = 0; i <= used; ++i) {
    numbers.push_back(vocabulary.find(tokens[i])->second);
  }
  constexpr std::size_t kByteValues = 256;
  if (vocabulary.size() <= kByteValues) {
    dataset.inputs = first_numbers<std::uint8_t>(numbers, used);
  } else {
    dataset.inputs = first_numbers<float>(numbers, used);
  }
  dataset.labels.assign(numbers.begin() + 1, numbers.end());
  return dataset;
}

Normalization token_normalization(const Dataset& dataset) {
  // Bytes have one pair for all of a sample, other numbers one each.
  const std::size_t pairs = std::holds_alternative<std::vector<std::uint8_t>>(dataset.inputs)
                                ? 1
                                : static_cast<std::size_t>(dataset.sample_size());
  return {.shift = std::vector<float>(pairs, 0.0F), .scale = std::vector<float>(pairs, 1.0F)};
}

}  // namespace regatta
