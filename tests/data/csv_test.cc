// CSV text → cells, and one mistake each with its place.
#include "data/csv.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/progress.h"
#include "base/random.h"

namespace regatta {
namespace {

using Header = CsvOptions::Header;
using testing::ElementsAre;

std::vector<std::string> row_of(const CsvTable& table, std::size_t row) {
  std::vector<std::string> cells;
  for (std::size_t column = 0; column < table.columns(); ++column) {
    cells.push_back(table.text(row, column));
  }
  return cells;
}

TEST(Csv, TellsWithEachRowThatItGetsOn) {
  int notes = 0;
  const ProgressListener listener([&] { ++notes; });
  ASSERT_TRUE(parse_csv("a,b\n1,2\n3,4\n", "t.csv").ok());
  EXPECT_EQ(notes, 2);
}

TEST(Csv, ReadsRowsUnderTheirNames) {
  const auto table = parse_csv("a,b\n1,2\n3,4\n", "t.csv");
  ASSERT_TRUE(table.ok()) << table.error().message;
  EXPECT_THAT(table.value().column_names(), ElementsAre("a", "b"));
  ASSERT_EQ(table.value().rows(), 2U);
  EXPECT_THAT(row_of(table.value(), 1), ElementsAre("3", "4"));
}

TEST(Csv, UnderstandsQuotesLineEndsBlankLinesAndByteOrderMarks) {
  const auto table = parse_csv("\xEF\xBB\xBF\"a\",b\r\n\r\n\"x, \"\"y\"\"\nz\", 2 \r\n,\"\"", "t.csv");
  ASSERT_TRUE(table.ok()) << table.error().message;
  ASSERT_EQ(table.value().rows(), 2U);
  EXPECT_THAT(table.value().column_names(), ElementsAre("a", "b"));
  EXPECT_THAT(row_of(table.value(), 0), ElementsAre("x, \"y\"\nz", "2"));
  EXPECT_THAT(row_of(table.value(), 1), ElementsAre("", ""));
}

TEST(Csv, TakesNamesFromTheFileFromNowhereOrFromAList) {
  EXPECT_THAT(parse_csv("1,2\n", "t.csv", {.header = Header::none}).value().column_names(),
              ElementsAre("column_0", "column_1"));
  const auto table =
      parse_csv("150,4,setosa\n5.1 3.5\n", "t.csv",
                {.separator = ' ', .skip_rows = 1, .header = std::vector<std::string>{"x", "y"}});
  ASSERT_TRUE(table.ok()) << table.error().message;
  EXPECT_THAT(table.value().column_names(), ElementsAre("x", "y"));
  EXPECT_EQ(table.value().rows(), 1U);
}

TEST(Csv, PlacesCountLinesAndCharacters) {
  const auto table = parse_csv("a,b\n\"two\nlines\",é\nü,x\n", "t.csv").value();
  EXPECT_EQ(table.place(0, 1).str(), "t.csv:3:8");
  EXPECT_EQ(table.place(1, 1).str(), "t.csv:4:3");
}

TEST(Csv, AMistakeIsToldWithItsPlace) {
  const struct {
    std::string text;
    CsvOptions options;
    const char* expected;
  } cases[] = {
      {"a,b\n1,2\n3\n", {}, "t.csv:3:1: 1 cells in this row, but the table has 2 columns"},
      {"a,b\n1,2,3\n", {}, "t.csv:2:1: 3 cells in this row, but the table has 2 columns"},
      {"a,b\n1,\"2\n", {}, "t.csv:2:3: this quote is never closed"},
      {"a,b\n1,\"2\"x\n",
       {},
       "t.csv:2:6: text after a closing quote; a quote within a quoted cell is written twice"},
      {"a,b\n1,2\"\n", {}, "t.csv:2:4: a quote within a cell"},
      {std::string("a,b\n1,\0\n", 8), {}, "t.csv:2:3: a zero byte: this is not a text file"},
      {"a,a\n1,2\n", {}, "t.csv:1:3: a second column named 'a'"},
      {",a\n1,2\n", {}, "t.csv:1:1: this column has no name"},
      {"1,2\n3,4\n", {}, "t.csv:1:1: the first row should name the columns, but holds numbers"},
      {"a,b\n", {}, "t.csv: the table has no rows"},
      {"", {}, "t.csv: the table has no rows"},
      {"a\n", {.skip_rows = 9}, "t.csv: the table has no rows"},
      {"1,2\n", {.header = std::vector<std::string>{"x"}}, "t.csv:1:1: 2 cells in this row"},
      {"1,2\n", {.header = std::vector<std::string>{"x", "x"}}, "two columns were given the same name"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.text);
    const auto table = parse_csv(test.text, "t.csv", test.options);
    ASSERT_FALSE(table.ok());
    EXPECT_THAT(table.error().message, testing::HasSubstr(test.expected));
  }
}

// Any text is a table or a mistake; every cell of a table can be read and has a place.
TEST(Csv, SurvivesRandomText) {
  constexpr std::string_view kAlphabet = "a1,\"\n\r \xC3\xA9;";
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const Random random(seed, "csv");
    std::string text;
    for (std::uint64_t i = 0; i < 4 + seed % 40; ++i) {
      text.push_back(kAlphabet[random.below(i, kAlphabet.size())]);
    }
    const auto table = parse_csv(text, "t.csv", {.header = Header::none});
    for (std::size_t row = 0; table.ok() && row < table.value().rows(); ++row) {
      for (std::size_t column = 0; column < table.value().columns(); ++column) {
        ASSERT_LE(table.value().text(row, column).size(), text.size()) << "seed " << seed;
        ASSERT_GE(table.value().place(row, column).line, 1) << "seed " << seed;
      }
    }
  }
}

TEST(ParseNumber, ReadsWholeTextsOnly) {
  EXPECT_EQ(parse_number("-1.5e2"), -150);
  EXPECT_EQ(parse_number("+3"), 3);
  EXPECT_EQ(parse_number("1e-400"), 0);
  EXPECT_TRUE(std::isinf(*parse_number("-1e400")));
  EXPECT_TRUE(std::isinf(*parse_number("1e39")));  // beyond a float
  EXPECT_TRUE(std::isnan(*parse_number("nan")));
  for (const char* text : {"", "1,5", "1.5x", "+-1", "++1", "0x10", " 1", "one"}) {
    EXPECT_FALSE(parse_number(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace regatta
