// One pass over the text; a cell is stored as where it stands.
#include "data/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>

#include "base/progress.h"

namespace regatta {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

const CsvTable::Cell& CsvTable::cell(std::size_t row, std::size_t column) const {
  CHECK(row < rows() && column < columns());
  return cells_[row * columns() + column];
}

std::string_view CsvTable::raw_of(const Cell& cell) const {
  return trimmed(std::string_view(source_).substr(cell.begin, cell.length));
}

std::string CsvTable::text_of(const Cell& cell) const {
  std::string text(raw_of(cell));
  if (cell.quoted) {
    for (std::size_t at = text.find("\"\""); at != std::string::npos; at = text.find("\"\"", at + 1)) {
      text.erase(at, 1);
    }
  }
  return text;
}

// Columns count characters, not bytes: UTF-8 continuation bytes are left out.
Place CsvTable::place_of(std::size_t offset) const {
  Place place{file_name_, 1, 1};
  for (const char c : std::string_view(source_).substr(0, offset)) {
    if (c == '\n') {
      ++place.line;
      place.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) {
      ++place.column;
    }
  }
  return place;
}

std::string_view CsvTable::raw(std::size_t row, std::size_t column) const {
  return raw_of(cell(row, column));
}

std::string CsvTable::text(std::size_t row, std::size_t column) const { return text_of(cell(row, column)); }

Place CsvTable::place(std::size_t row, std::size_t column) const { return place_of(cell(row, column).begin); }

class CsvParser {
 public:
  CsvParser(std::string text, std::string file_name, const CsvOptions& options) : options_(options) {
    table_.source_ = std::move(text);
    table_.file_name_ = std::move(file_name);
    source_ = table_.source_;
  }

  Result<CsvTable> parse() {
    if (const std::size_t zero = source_.find('\0'); zero != std::string_view::npos) {
      return mistake(zero, "a zero byte: this is not a text file");
    }
    at_ = source_.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
    for (std::int64_t i = 0; i < options_.skip_rows && at_ < source_.size(); ++i) {
      at_ = std::min(source_.find('\n', at_), source_.size() - 1) + 1;
    }
    RETURN_IF_ERROR(read_names());
    while (skip_blank_lines()) {
      RETURN_IF_ERROR(read_row());
      note_progress();
    }
    if (table_.cells_.empty()) {
      return mistake_at({table_.file_name_}, "the table has no rows");
    }
    return std::move(table_);
  }

 private:
  using Cell = CsvTable::Cell;

  Error mistake(std::size_t offset, std::string_view message) const {
    return mistake_at(table_.place_of(offset), message);
  }

  // Moves to the next row; false at the end of the text.
  bool skip_blank_lines() {
    while (at_ < source_.size()) {
      const std::string_view rest = source_.substr(at_);
      if (rest.starts_with('\n')) {
        at_ += 1;
      } else if (rest.starts_with("\r\n")) {
        at_ += 2;
      } else {
        return true;
      }
    }
    return false;
  }

  bool at_line_end() const {
    return at_ == source_.size() || source_[at_] == '\n' || source_.substr(at_).starts_with("\r\n");
  }

  Result<Cell> read_quoted_cell() {
    const std::size_t opening = at_;
    Cell cell{.begin = opening + 1, .quoted = true};
    for (++at_; at_ < source_.size(); ++at_) {
      if (source_[at_] != '"') {
        continue;
      }
      if (source_.substr(at_ + 1).starts_with('"')) {
        ++at_;  // a doubled quote stands for one
        continue;
      }
      const std::size_t length = at_ - cell.begin;
      ++at_;
      if (!at_line_end() && source_[at_] != options_.separator) {
        return mistake(at_, "text after a closing quote; a quote within a quoted cell is written twice");
      }
      return sized(cell, length);
    }
    return mistake(opening, "this quote is never closed");
  }

  Result<Cell> read_plain_cell() {
    const Cell cell{.begin = at_};
    while (!at_line_end() && source_[at_] != options_.separator) {
      if (source_[at_] == '"') {
        return mistake(at_,
                       "a quote within a cell that does not begin with one; quote the whole cell and "
                       "write the quote twice");
      }
      ++at_;
    }
    return sized(cell, at_ - cell.begin);
  }

  Result<Cell> sized(Cell cell, std::size_t length) const {
    if (length > std::numeric_limits<std::uint32_t>::max()) {
      return mistake(cell.begin, "a cell of more than 4 GB");
    }
    cell.length = static_cast<std::uint32_t>(length);
    return cell;
  }

  // Adds the row's cells to `cells` and moves past its line end.
  Status read_cells(std::vector<Cell>& cells) {
    while (true) {
      const bool quoted = at_ < source_.size() && source_[at_] == '"';
      ASSIGN_OR_RETURN(const Cell cell, quoted ? read_quoted_cell() : read_plain_cell());
      cells.push_back(cell);
      if (at_line_end()) {
        at_ = std::min(source_.find('\n', at_), source_.size() - 1) + 1;
        return {};
      }
      ++at_;  // the separator
    }
  }

  Status read_row() {
    const std::size_t row_begin = at_;
    const std::size_t before = table_.cells_.size();
    RETURN_IF_ERROR(read_cells(table_.cells_));
    const std::size_t count = table_.cells_.size() - before;
    if (count != table_.columns()) {
      return mistake(row_begin, fmt::format("{} cells in this row, but the table has {} columns", count,
                                            table_.columns()));
    }
    return {};
  }

  Status read_names() {
    if (!skip_blank_lines()) {
      return mistake_at({table_.file_name_}, "the table has no rows");
    }
    if (const auto* names = std::get_if<std::vector<std::string>>(&options_.header)) {
      table_.column_names_ = *names;
      if (std::set(names->begin(), names->end()).size() != names->size()) {
        return mistake_at({table_.file_name_}, "two columns were given the same name");
      }
      return {};
    }
    const std::size_t first_row = at_;
    std::vector<Cell> cells;
    RETURN_IF_ERROR(read_cells(cells));
    if (std::get<CsvOptions::Header>(options_.header) == CsvOptions::Header::none) {
      at_ = first_row;
      for (std::size_t i = 0; i < cells.size(); ++i) {
        table_.column_names_.push_back(fmt::format("column_{}", i));
      }
      return {};
    }
    return take_names(cells);
  }

  Status take_names(const std::vector<Cell>& cells) {
    if (std::ranges::all_of(
            cells, [&](const Cell& cell) { return parse_number(table_.raw_of(cell)).has_value(); })) {
      return mistake(cells[0].begin,
                     "the first row should name the columns, but holds numbers; if it is data, write "
                     "`header: false` or `header: [name, …]`");
    }
    std::set<std::string> seen;
    for (const Cell& cell : cells) {
      std::string name = table_.text_of(cell);
      if (name.empty()) {
        return mistake(cell.begin,
                       "this column has no name; name it here, or all of them with `skip_rows: 1` "
                       "and `header: [name, …]`");
      }
      if (!seen.insert(name).second) {
        return mistake(cell.begin, fmt::format("a second column named '{}'", name));
      }
      table_.column_names_.push_back(std::move(name));
    }
    return {};
  }

  const CsvOptions& options_;
  CsvTable table_;
  std::string_view source_;
  std::size_t at_ = 0;
};

Result<CsvTable> parse_csv(std::string text, std::string file_name, const CsvOptions& options) {
  return CsvParser(std::move(text), std::move(file_name), options).parse();
}

std::optional<double> parse_number(std::string_view text) {
  // from_chars knows no leading plus.
  const std::string_view digits = text.starts_with('+') && !text.starts_with("+-") ? text.substr(1) : text;
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::invalid_argument || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  if (error == std::errc::result_out_of_range) {
    value = std::strtod(std::string(digits).c_str(), nullptr);  // tells too large from too small
  }
  return std::abs(value) > std::numeric_limits<float>::max() ? std::copysign(HUGE_VAL, value) : value;
}

}  // namespace regatta
