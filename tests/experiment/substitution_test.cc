// $name: typed, spliced, escaped, and left out where inactive.
#include <gmock/gmock.h>

#include "experiment/experiment.h"

namespace regatta {
namespace {

Space space() {
  const auto node = parse_yaml(R"(
lr: {float: [0, 1]}
width: {int: [1, 99]}
optimizer: {choice: [sgd, adam, "5", true, null]}
momentum: {float: [0, 1], when: optimizer == sgd}
)",
                               "exp.yaml");
  return *read_space(*node);
}

// The node as YAML after the substitution, or the mistake.
std::string substituted(std::string_view yaml, const Point& point) {
  const auto node = parse_yaml(yaml, "exp.yaml");
  EXPECT_TRUE(node.ok()) << node.error().message;
  const auto result = substitute(*node, space(), point);
  return result.ok() ? to_yaml(*result) : result.error().message;
}

const Point kSgd = {0.25, 64, 0, 0.5};
const Point kAdam = {0.25, 64, 1, std::nullopt};

TEST(Substitution, TakesTheValueWithItsTypeWhereTheNameStandsAlone) {
  EXPECT_EQ(substituted("{a: $lr, b: $width, c: $optimizer, d: \"${width}\"}", kSgd),
            "a: 0.25\nb: 64\nc: sgd\nd: 64\n");
  EXPECT_EQ(substituted("$optimizer", {0, 1, 2, std::nullopt}), "\"5\"\n");
  EXPECT_EQ(substituted("$optimizer", {0, 1, 3, std::nullopt}), "true\n");
  EXPECT_EQ(substituted("$optimizer", {0, 1, 4, std::nullopt}), "null\n");
}

TEST(Substitution, SplicesTheValueIntoALongerText) {
  EXPECT_EQ(substituted("[--lr=$lr, $width-wide, \"${width}px\", $lr/$width, \"$optimizer: $lr\"]", kSgd),
            "- \"--lr=0.25\"\n- 64-wide\n- 64px\n- 0.25/64\n- \"sgd: 0.25\"\n");
  // A plain text that becomes a number is one; in quotes it stays a text.
  EXPECT_EQ(substituted("[1$width, \"1$width\"]", kSgd), "- 164\n- \"164\"\n");
}

TEST(Substitution, TakesTwoDollarsForOne) {
  EXPECT_EQ(substituted("[$$lr, cost $$5, $$$width, $$]", kSgd), "- $lr\n- \"cost $5\"\n- $64\n- $\n");
}

TEST(Substitution, LeavesOutTheEntryOrItemThatMentionsAnInactiveParameter) {
  const char* yaml =
      "{optimizer: {type: $optimizer, momentum: $momentum}, args: [a, --m=$momentum, $momentum, b]}";
  EXPECT_EQ(substituted(yaml, kSgd),
            "optimizer:\n  type: sgd\n  momentum: 0.5\nargs:\n  - a\n  - \"--m=0.5\"\n  - 0.5\n  - b\n");
  EXPECT_EQ(substituted(yaml, kAdam), "optimizer:\n  type: adam\nargs:\n  - a\n  - b\n");
  EXPECT_EQ(substituted("{only: {momentum: $momentum}}", kAdam), "only: {}\n");
  EXPECT_EQ(substituted("$momentum", kAdam), "null\n");
}

TEST(Substitution, KeepsThePlaceOfTheName) {
  const auto node = parse_yaml("a:\n  b: $lr\n", "exp.yaml");
  const auto result = substitute(*node, space(), kSgd);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->find("a")->find("b")->place().str(), "exp.yaml:2:6");
}

TEST(Substitution, RefusesNamesThatAreNoParameters) {
  EXPECT_EQ(substituted("a: $widht", kSgd),
            "exp.yaml:1:4: '$widht' is no parameter of the space (did you mean 'width'?)");
  EXPECT_EQ(substituted("a: [x, cost $5]", kSgd), "exp.yaml:1:8: '$5' is no parameter of the space");
  for (const char* text : {"x$", "$ x", "\"${lr\"", "\"${}\"", "\"${lr x}\"", "$-"}) {
    EXPECT_THAT(substituted("a: " + std::string(text), kSgd),
                testing::StartsWith("exp.yaml:1:4: expected $name or ${name} in "))
        << text;
  }
}

}  // namespace
}  // namespace regatta
