// CSV: a mistake has its place, cells follow one another, and a table that was written reads back equal.
#include "data/csv.h"

#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {
namespace {

constexpr const char* kFile = "fuzz.csv";

std::string quoted(std::string_view text) {
  std::string cell = "\"";
  for (const char c : text) {
    cell += c == '"' ? "\"\"" : std::string(1, c);
  }
  return cell + '"';
}

std::string written(const CsvTable& table, const CsvOptions& options) {
  std::string text;
  const auto end_cell = [&](std::size_t column) {
    text += column + 1 < table.columns() ? options.separator : '\n';
  };
  for (std::size_t column = 0; column < table.columns(); ++column) {
    text += quoted(table.column_names()[column]);
    end_cell(column);
  }
  for (std::size_t row = 0; row < table.rows(); ++row) {
    for (std::size_t column = 0; column < table.columns(); ++column) {
      text += quoted(table.text(row, column));
      end_cell(column);
    }
  }
  return text;
}

void check_same(const CsvTable& a, const CsvTable& b) {
  CHECK(a.column_names() == b.column_names() && a.rows() == b.rows());
  for (std::size_t row = 0; row < a.rows(); ++row) {
    for (std::size_t column = 0; column < a.columns(); ++column) {
      CHECK(a.text(row, column) == b.text(row, column), a.text(row, column));
    }
  }
}

// Only the table's corners: finding a place counts lines.
void check_places(const CsvTable& table) {
  const Place first = table.place(0, 0);
  const Place last = table.place(table.rows() - 1, table.columns() - 1);
  CHECK(first.line >= 1 && first.column >= 1 && last.column >= 1);
  CHECK(std::pair(first.line, first.column) <= std::pair(last.line, last.column));
}

void check(std::string_view text, const CsvOptions& options) {
  const auto table = parse_csv(std::string(text), kFile, options);
  if (!table.ok()) {
    fuzz::check_place(table.error(), kFile, text);
    return;
  }
  CHECK(table->rows() > 0 && table->columns() > 0);
  check_places(*table);
  for (std::size_t column = 0; column < table->columns(); ++column) {
    const auto number = parse_number(table->raw(0, column));
    CHECK(!number || !table->raw(0, column).empty());
  }
  CsvOptions first_row = options;
  first_row.skip_rows = 0;
  first_row.header = CsvOptions::Header::first_row;
  const auto again = parse_csv(written(*table, first_row), "written.csv", first_row);
  CHECK(again.ok(), again.error().message);
  check_same(*table, *again);
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  return {
      "",
      "a,b\n1,2\n3,4\n",
      "\xEF\xBB\xBF\"a\",b\r\n\r\n\"x, \"\"y\"\"\nz\", 2 \r\n,\"\"",
      "x;y ; \"z\"\n1.5;-2e3;nan\n;inf;\"\"\"\"\n",
      "skipped \"line\nname\nvalue\n\n\"\"\n\"\"\"\"\"\"\n",
      "gr\xC3\xB6\xC3\x9F"
      "e,\t b \n\"one\ntwo\", x\r\ny\r,z\n",
      "a,b\n1\n",
      "a,b\n1,\"2\n",
      "1,2\n3,4\n",
      std::string("a\0b\n", 4),
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const std::string_view text = fuzz::text_of(data, size);
  check(text, {});
  check(text, {.separator = ';', .header = CsvOptions::Header::none});
  check(text, {.skip_rows = 1, .header = std::vector<std::string>{"x", "y"}});
  return 0;
}
