// CSV as RFC 4180 describes it: text → table of cells that know their places.
// Cells may be quoted ("a ""b"", c"), also over several lines. Lines end with LF or CRLF; blank lines are
// skipped; a UTF-8 byte order mark is ignored. Every row has the same number of cells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "experiment/node.h"

namespace regatta {

struct CsvOptions {
  char separator = ',';
  std::int64_t skip_rows = 0;  // lines before the table, whatever stands in them
  enum class Header { first_row, none };
  // Where the columns' names come from: the file's first row, nowhere (column_0, column_1, …), or this list.
  std::variant<Header, std::vector<std::string>> header = Header::first_row;
};

// Keeps the text; cells are places in it, so that a table costs 16 bytes a cell.
class CsvTable {
 public:
  std::size_t rows() const { return column_names_.empty() ? 0 : cells_.size() / column_names_.size(); }
  std::size_t columns() const { return column_names_.size(); }
  const std::vector<std::string>& column_names() const { return column_names_; }
  const std::string& file_name() const { return file_name_; }

  // The cell without the quotes around it and without spaces at its ends; doubled quotes stay doubled.
  std::string_view raw(std::size_t row, std::size_t column) const;
  std::string text(std::size_t row, std::size_t column) const;
  Place place(std::size_t row, std::size_t column) const;  // found by counting lines: for messages

 private:
  friend class CsvParser;
  struct Cell {
    std::size_t begin = 0;
    std::uint32_t length = 0;
    bool quoted = false;
  };
  const Cell& cell(std::size_t row, std::size_t column) const;
  std::string_view raw_of(const Cell& cell) const;
  std::string text_of(const Cell& cell) const;
  Place place_of(std::size_t offset) const;

  std::string source_;
  std::string file_name_;
  std::vector<std::string> column_names_;
  std::vector<Cell> cells_;
};

// Errors name file, line and column. A table has at least one row and distinct column names.
Result<CsvTable> parse_csv(std::string text, std::string file_name, const CsvOptions& options = {});

// The number that is the whole text; one beyond the range of a float is infinite. nullopt: not a number.
std::optional<double> parse_number(std::string_view text);

}  // namespace regatta
