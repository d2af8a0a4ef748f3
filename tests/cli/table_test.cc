// Tables for people: columns line up, whatever letters stand in them.
#include "cli/table.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

TEST(Table, LinesUpColumnsAndNumbers) {
  Table table({{"name"}, {"n", Table::Align::right}, {"note"}});
  table.add({"a", "5", "x"});
  table.add({"größe", "12345", ""});
  EXPECT_EQ(table.str("  "),
            "  name       n  note\n"
            "  a          5  x\n"
            "  größe  12345\n");
}

TEST(Table, CountsLettersNotBytes) { EXPECT_EQ(display_width("3×3 größe"), 9U); }

}  // namespace
}  // namespace regatta
