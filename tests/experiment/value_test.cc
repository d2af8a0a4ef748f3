// Scalars: which texts are numbers, and that writing and reading agree.
#include "experiment/value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace regatta {
namespace {

TEST(Value, FollowsTheCoreSchemaOfYaml12) {
  const struct {
    const char* text;
    Value value;
  } cases[] = {
      {"", nullptr},
      {"~", nullptr},
      {"null", nullptr},
      {"true", true},
      {"FALSE", false},
      {"yes", "yes"},  // a flag in YAML 1.1, a text since
      {"12", std::int64_t{12}},
      {"-12", std::int64_t{-12}},
      {"+12", std::int64_t{12}},
      {"012", std::int64_t{12}},
      {"0x1F", std::int64_t{31}},
      {"0o17", std::int64_t{15}},
      {"0x-1F", "0x-1F"},
      {"1.5", 1.5},
      {"1.", 1.0},
      {".5", 0.5},
      {"-.5", -0.5},
      {"1e-4", 1e-4},
      {"+1E+2", 100.0},
      {"9223372036854775808", 9223372036854775808.0},
      {".inf", std::numeric_limits<double>::infinity()},
      {"-.Inf", -std::numeric_limits<double>::infinity()},
      {"inf", "inf"},
      {"nan", "nan"},
      {".", "."},
      {"e5", "e5"},
      {"1e", "1e"},
      {"1.2.3", "1.2.3"},
      {"--1", "--1"},
      {"1_000", "1_000"},
      {"12 ", "12 "},
      {"1e999", "1e999"},
  };
  for (const auto& [text, value] : cases) {
    EXPECT_TRUE(value_of_scalar(text, false) == value)
        << text << " was " << to_string(value_of_scalar(text, false));
  }
  EXPECT_TRUE(std::isnan(std::get<double>(value_of_scalar(".nan", false))));
}

TEST(Value, InQuotesIsAlwaysAText) {
  for (const char* text : {"", "5", "true", "null", ".inf"}) {
    EXPECT_EQ(std::get<std::string>(value_of_scalar(text, true)), text);
  }
}

TEST(Value, ReadsBackAsItselfFromItsText) {
  const Value values[] = {nullptr,
                          true,
                          false,
                          std::int64_t{64},
                          std::numeric_limits<std::int64_t>::min(),
                          64.0,
                          -0.0,
                          0.1,
                          1e-300,
                          1.7976931348623157e308,
                          std::numeric_limits<double>::infinity(),
                          "",
                          "sgd",
                          "64",
                          "0.1",
                          "null",
                          "a: b",
                          "a #b",
                          "- a",
                          "-",
                          "---",
                          "...",
                          "[a",
                          "say \"hi\" \\ bye",
                          "two\nlines\t\x01",
                          "größe",
                          " padded ",
                          "$lr"};
  for (const Value& value : values) {
    const std::string text = to_string(value);
    const auto node = parse_yaml("key: [" + text + ", " + text + "]", "values.yaml");
    ASSERT_TRUE(node.ok()) << text << ": " << node.error().message;
    const Node& item = node->find("key")->items().at(1);
    EXPECT_TRUE(value_of_scalar(item.text(), item.quoted()) == value) << text;
  }
}

TEST(Value, MakesANodeThatHoldsIt) {
  for (const Value& value :
       {Value(nullptr), Value(true), Value(std::int64_t{5}), Value(2.0), Value("5"), Value("a b")}) {
    const Node node = to_node(value, {});
    EXPECT_TRUE(value_of_scalar(node.text(), node.quoted()) == value) << to_string(value);
  }
}

TEST(Value, SameMeansTheSameNumberOrTheSameText) {
  EXPECT_TRUE(same_value(std::int64_t{1}, 1.0));
  EXPECT_FALSE(same_value(std::int64_t{1}, "1"));
  EXPECT_FALSE(same_value(true, std::int64_t{1}));
}

}  // namespace
}  // namespace regatta
