// Reads one map of the experiment file. Every read names a key; finish() refuses the keys that nobody read.
//
//   Section section(node, "train");
//   config.batch_size = section.integer("batch_size", {.fallback = 256, .min = 1});
//   config.loss = section.choice("loss", {"cross_entropy", "mse"});
//   RETURN_IF_ERROR(section.finish());
//
// The first mistake is kept and later reads return their fallback, so that a reader is one line a key.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiment/node.h"

namespace regatta {

struct NumberRule {
  std::optional<double> fallback;  // none: the key is required
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_excluded = false;  // "more than min" instead of "at least min"
  bool max_excluded = false;
};

struct IntegerRule {
  std::optional<std::int64_t> fallback;  // none: the key is required
  std::int64_t min = std::numeric_limits<std::int64_t>::min();
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

class Section {
 public:
  // `what` names the section in messages. A node that is not a map is a mistake; null counts as an empty map.
  // The node must outlive the section.
  Section(const Node& node, std::string what);
  Section(const Node&& node, std::string what) = delete;

  double number(std::string_view key, NumberRule rule = {});
  std::optional<double> optional_number(std::string_view key, NumberRule rule = {});
  std::int64_t integer(std::string_view key, IntegerRule rule = {});
  std::optional<std::int64_t> optional_integer(std::string_view key, IntegerRule rule = {});
  bool flag(std::string_view key, std::optional<bool> fallback);
  std::string text(std::string_view key, std::optional<std::string> fallback = {});
  std::optional<std::string> optional_text(std::string_view key);
  // One of the given names; a near miss is answered with the nearest.
  std::string choice(std::string_view key, const std::vector<std::string>& names,
                     std::optional<std::string> fallback = {});
  // A list of scalars' texts; a single scalar counts as a list of one.
  std::vector<std::string> texts(std::string_view key, std::optional<std::vector<std::string>> fallback = {});

  // The raw value, or nullptr. Marks the key as read.
  const Node* child(std::string_view key);
  const Node* required_child(std::string_view key);  // absent: a mistake, and nullptr

  bool has(std::string_view key) const { return node_->find(key) != nullptr; }
  const Place& place() const { return node_->place(); }
  // Records a mistake found by the caller; only the first is kept.
  void mistake(const Place& place, std::string_view message);
  void fail(const Error& error);
  template <class T>
  std::optional<T> take(Result<T> result) {  // the value, or records the error
    if (result.ok()) {
      return std::move(result).value();
    }
    fail(result.error());
    return std::nullopt;
  }

  // The first mistake; else the first key that was not read, with the nearest name that was.
  Status finish() const;

 private:
  const Node* node_;
  std::string what_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
  bool key_is_missing_ = false;  // error_ is about a required key that is absent
};

// {type: NAME, …} or just NAME: how samplers, schedulers, layers, losses and optimizers are written.
struct Typed {
  std::string type;
  Place place;
  Node options;  // a map without "type"
};
Result<Typed> read_typed(const Node& node, std::string_view what);

// Scalars on their own, with located errors. A number is finite; 1e5 is an integer; any scalar is a text.
Result<double> read_number(const Node& node, const NumberRule& rule = {});
Result<std::int64_t> read_integer(const Node& node, const IntegerRule& rule = {});
Result<bool> read_flag(const Node& node);
Result<std::string> read_text(const Node& node);

}  // namespace regatta
