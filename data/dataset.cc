// Reads the `data:` section: one function per format, and what both share.
#include "data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>

#include "data/compressed_file.h"
#include "data/csv.h"
#include "data/features.h"
#include "data/idx.h"
#include "data/normalization.h"
#include "data/split.h"
#include "data/table.h"
#include "data/text_tokens.h"
#include "experiment/section.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr double kDefaultValidation = 0.1;
// Debian packages that carry data sets.
struct DataPackage {
  std::string_view folder;
  std::string_view package;
};
constexpr std::array kDataPackages = {
    DataPackage{"/usr/share/datasets/fashion-mnist", "dataset-fashion-mnist"},
    DataPackage{"/usr/lib/python3/dist-packages/sklearn", "python3-sklearn"},
};

struct CommonOptions {
  SplitShares shares;
  std::optional<Place> test_place;  // of `test:`, if it is there
  bool normalize = true;
  Place place;  // of the section
};

CommonOptions read_common(Section& section) {
  CommonOptions options;
  section.child("augment");  // read by read_augmentation: it changes no data, only what is made of them
  options.place = section.place();
  const auto share = [&section](std::string_view key, double fallback) {
    return section.number(key, {.fallback = fallback, .min = 0, .max = 1, .max_excluded = true});
  };
  options.shares.validation = share("validation", kDefaultValidation);
  options.shares.test = share("test", 0);
  if (const Node* test = section.child("test")) {
    options.test_place = test->place();
  }
  options.shares.limit = section.optional_integer("limit", {.min = 1});
  options.normalize = section.flag("normalize", true);
  return options;
}

// A file or folder that the experiment names; relative paths start where the experiment file lies.
struct NamedPath {
  fs::path path;
  Place place;
};

std::optional<NamedPath> read_path(Section& section, std::string_view key,
                                   const std::optional<fs::path>& folder = {}) {
  const Node* node = section.child(key);
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto text = section.take(read_text(*node));
  if (!text) {
    return std::nullopt;
  }
  const fs::path start = folder ? *folder : fs::path(node->place().file).parent_path();
  return NamedPath{start / *text, node->place()};
}

Status check_exists(const NamedPath& named) {
  std::error_code ignored;
  if (fs::exists(named.path, ignored)) {
    return {};
  }
  std::string message = fmt::format("{} does not exist", named.path.string());
  for (const auto& [folder, package] : kDataPackages) {
    if (named.path.string().starts_with(folder)) {
      message += fmt::format("; install the Debian package {}", package);
    }
  }
  return mistake_at(named.place, message);
}

Split make_split(const std::shared_ptr<const Dataset>& dataset,
                 const std::shared_ptr<const Normalization>& normalization,
                 std::vector<std::int64_t> samples) {
  return {.dataset = dataset, .normalization = normalization, .samples = std::move(samples)};
}

Result<SplitSamples> split_located(std::int64_t count, std::span<const std::int32_t> labels,
                                   const CommonOptions& options, std::uint64_t seed) {
  auto samples = split_samples(count, labels, options.shares, seed);
  return samples.ok() ? std::move(samples) : mistake_at(options.place, samples.error().message);
}

// ---- idx ----

struct IdxPaths {
  NamedPath train_images;
  NamedPath train_labels;
  std::optional<NamedPath> test_images;
  std::optional<NamedPath> test_labels;
};

// `name` or `name`.gz in the folder, if it is there.
std::optional<NamedPath> find_in_folder(const NamedPath& folder, const std::string& name) {
  for (const char* ending : {"", ".gz"}) {
    const fs::path path = folder.path / (name + ending);
    std::error_code ignored;
    if (fs::exists(path, ignored)) {
      return NamedPath{path, folder.place};
    }
  }
  return std::nullopt;
}

// A file that the section names, or else the usual name in the folder.
Result<IdxPaths> read_idx_paths(Section& section) {
  const std::optional<NamedPath> folder = read_path(section, "path");
  const std::optional<fs::path> start = folder ? std::optional(folder->path) : std::nullopt;
  const auto file = [&](std::string_view key, const char* usual_name) {
    auto named = read_path(section, key, start);
    return named || !folder ? named : find_in_folder(*folder, usual_name);
  };
  const auto train_images = file("train_images", "train-images-idx3-ubyte");
  const auto train_labels = file("train_labels", "train-labels-idx1-ubyte");
  const auto test_images = file("test_images", "t10k-images-idx3-ubyte");
  const auto test_labels = file("test_labels", "t10k-labels-idx1-ubyte");
  RETURN_IF_ERROR(section.finish());
  if (folder) {
    RETURN_IF_ERROR(check_exists(*folder));
  }
  if (!train_images || !train_labels) {
    const char* missing = train_images ? "labels-idx1" : "images-idx3";
    return folder ? mistake_at(folder->place, fmt::format("no train-{}-ubyte (or .gz) in {}", missing,
                                                          folder->path.string()))
                  : mistake_at(section.place(),
                               "idx data needs `path:` (a folder), or `train_images:` and "
                               "`train_labels:`");
  }
  if (test_images.has_value() != test_labels.has_value()) {
    return mistake_at((test_images ? test_images : test_labels)->place,
                      fmt::format("there are test {}, but no test {}", test_images ? "images" : "labels",
                                  test_images ? "labels" : "images"));
  }
  for (const auto* named : {&*train_images, &*train_labels}) {
    RETURN_IF_ERROR(check_exists(*named));
  }
  if (test_images) {
    RETURN_IF_ERROR(check_exists(*test_images));
    RETURN_IF_ERROR(check_exists(*test_labels));
  }
  return IdxPaths{*train_images, *train_labels, test_images, test_labels};
}

Result<std::shared_ptr<const Dataset>> read_idx_test(const IdxPaths& paths, const Dataset& train) {
  ASSIGN_OR_RETURN(Dataset test, read_idx_dataset({paths.test_images->path, paths.test_labels->path},
                                                  static_cast<std::int64_t>(train.class_names.size())));
  if (test.sample_shape != train.sample_shape) {
    return user_mistake(fmt::format("{}: the images have another size than those of {}",
                                    paths.test_images->path.string(), paths.train_images.path.string()));
  }
  return std::make_shared<const Dataset>(std::move(test));
}

Result<DataSplits> load_idx(Section& section, const CommonOptions& options, std::uint64_t seed) {
  ASSIGN_OR_RETURN(const IdxPaths paths, read_idx_paths(section));
  if (paths.test_images && options.test_place) {
    return mistake_at(*options.test_place, fmt::format("there is a test file ({}); leave `test:` out",
                                                       paths.test_images->path.string()));
  }
  ASSIGN_OR_RETURN(Dataset train, read_idx_dataset({paths.train_images.path, paths.train_labels.path}));
  const auto dataset = std::make_shared<const Dataset>(std::move(train));
  ASSIGN_OR_RETURN(SplitSamples samples, split_located(dataset->count, dataset->labels, options, seed));
  const auto normalization = std::make_shared<const Normalization>(
      options.normalize ? fit_normalization(*dataset, samples.train) : without_normalization(*dataset));
  DataSplits splits{.train = make_split(dataset, normalization, std::move(samples.train)),
                    .validation = make_split(dataset, normalization, std::move(samples.validation)),
                    .test = make_split(dataset, normalization, std::move(samples.test))};
  if (paths.test_images) {
    ASSIGN_OR_RETURN(const auto test, read_idx_test(paths, *dataset));
    std::vector<std::int64_t> all(static_cast<std::size_t>(test->count));
    std::iota(all.begin(), all.end(), 0);
    splits.test = make_split(test, normalization, std::move(all));
  }
  return splits;
}

// ---- csv ----

std::vector<ColumnName> read_columns(Section& section, std::string_view key) {
  const Node* node = section.child(key);
  std::vector<ColumnName> columns;
  if (node == nullptr) {
    return columns;
  }
  const auto add = [&](const Node& item) {
    if (const auto text = section.take(read_text(item))) {
      columns.push_back({*text, item.place()});
    }
  };
  if (node->is_sequence()) {
    std::ranges::for_each(node->items(), add);
  } else {
    add(*node);
  }
  if (columns.empty()) {
    section.mistake(node->place(), "expected a column's name or number, or a list of them");
  }
  return columns;
}

// `true`: the first row names the columns; `false`: nothing does; a list: these are the names.
void read_header(Section& section, CsvOptions& options) {
  const Node* node = section.child("header");
  if (node != nullptr && node->is_sequence()) {
    options.header = section.texts("header");
  } else if (!section.flag("header", true)) {
    options.header = CsvOptions::Header::none;
  }
}

CsvOptions read_csv_options(Section& section) {
  CsvOptions options;
  const std::string separator = section.text("separator", ",");
  if (separator == "tab" || separator == "\\t") {
    options.separator = '\t';
  } else if (separator.size() == 1 && separator != "\"" && separator != "\n" && separator != "\r") {
    options.separator = separator[0];
  } else {
    section.mistake(section.child("separator")->place(), "expected one character, or tab");
  }
  options.skip_rows = section.integer("skip_rows", {.fallback = 0, .min = 0});
  read_header(section, options);
  return options;
}

TableOptions read_table_options(Section& section) {
  TableOptions options;
  section.required_child("target");
  options.targets = read_columns(section, "target");
  options.columns = read_columns(section, "columns");
  options.categorical = read_columns(section, "categorical");
  if (section.has("task")) {
    const std::string task = section.choice("task", {"classification", "regression"});
    options.task = task == "regression" ? Task::regression : Task::classification;
  }
  const std::string missing = section.choice("missing", {"error", "mean", "drop"}, "error");
  options.missing = missing == "mean"   ? MissingRule::mean
                    : missing == "drop" ? MissingRule::drop
                                        : MissingRule::error;
  return options;
}

Result<DataSplits> load_csv(Section& section, const CommonOptions& options, std::uint64_t seed) {
  section.required_child("path");
  const auto file = read_path(section, "path");
  const CsvOptions csv_options = read_csv_options(section);
  const TableOptions table_options = read_table_options(section);
  RETURN_IF_ERROR(section.finish());
  RETURN_IF_ERROR(check_exists(*file));

  ASSIGN_OR_RETURN(std::string text, read_compressed_file(file->path));
  ASSIGN_OR_RETURN(const CsvTable csv, parse_csv(std::move(text), file->path.string(), csv_options));
  ASSIGN_OR_RETURN(const Table table, read_table(csv, table_options));
  ASSIGN_OR_RETURN(SplitSamples samples, split_located(table.rows, table.labels, options, seed));
  auto made = make_dataset(table, samples.train);
  if (!made.ok()) {
    return mistake_at({file->path.string()}, made.error().message);
  }
  const auto dataset = std::make_shared<const Dataset>(std::move(made).value());
  const auto normalization = std::make_shared<const Normalization>(
      options.normalize ? fit_normalization(*dataset, samples.train, one_hot_features(table))
                        : without_normalization(*dataset));
  return DataSplits{.train = make_split(dataset, normalization, std::move(samples.train)),
                    .validation = make_split(dataset, normalization, std::move(samples.validation)),
                    .test = make_split(dataset, normalization, std::move(samples.test))};
}

// ---- text ----

Result<DataSplits> load_text(Section& section, const CommonOptions& options) {
  constexpr std::int64_t kLongestContext = 1'000'000;
  TextOptions text_options;
  section.required_child("path");
  const std::optional<NamedPath> file = read_path(section, "path");
  text_options.context = section.integer("context", {.fallback = 64, .min = 2, .max = kLongestContext});
  text_options.bytes = section.choice("tokens", {"characters", "bytes"}, "characters") == "bytes";
  for (const std::string_view key : {"normalize", "augment"}) {
    if (const Node* node = section.child(key)) {
      section.mistake(node->place(), fmt::format("a text has nothing to {}; leave this out", key));
    }
  }
  RETURN_IF_ERROR(section.finish());
  RETURN_IF_ERROR(check_exists(*file));
  ASSIGN_OR_RETURN(const std::string text, read_compressed_file(file->path));
  auto made = make_text_dataset(text, text_options);
  if (!made.ok()) {
    return mistake_at(file->place, fmt::format("{}: {}", file->path.string(), made.error().message));
  }
  const auto dataset = std::make_shared<const Dataset>(std::move(made).value());
  const auto normalization = std::make_shared<const Normalization>(token_normalization(*dataset));
  auto samples = split_in_order(dataset->count, options.shares);
  if (!samples.ok()) {
    return mistake_at(options.place, samples.error().message);
  }
  return DataSplits{.train = make_split(dataset, normalization, std::move(samples->train)),
                    .validation = make_split(dataset, normalization, std::move(samples->validation)),
                    .test = make_split(dataset, normalization, std::move(samples->test))};
}

}  // namespace

std::int64_t Dataset::sample_size() const {
  return std::accumulate(sample_shape.begin(), sample_shape.end(), std::int64_t{1}, std::multiplies<>());
}

Result<DataSplits> load_data(const Node& node, std::uint64_t seed) {
  Section section(node, "data");
  if (node.is_map() && !section.has("format")) {  // before all else: the other keys depend on it
    return mistake_at(section.place(), "'format' is missing in data: idx, csv or text");
  }
  const std::string format = section.choice("format", {"idx", "csv", "text"});
  const CommonOptions options = read_common(section);
  if (format == "idx") {
    return load_idx(section, options, seed);
  }
  if (format == "text") {
    return load_text(section, options);
  }
  return load_csv(section, options, seed);
}

namespace {

// See DataShape; all samples are looked at.
std::int64_t token_count(const Dataset& dataset, const Normalization& normalization) {
  const bool changes = std::ranges::any_of(normalization.shift, [](float shift) { return shift != 0; }) ||
                       std::ranges::any_of(normalization.scale, [](float scale) { return scale != 1; });
  if (changes || dataset.count == 0) {
    return 0;
  }
  return std::visit(
      [](const auto& inputs) {
        constexpr float kLimit = 1 << 24;  // from here on floats leave out whole numbers
        const bool counts = std::ranges::all_of(inputs, [](auto value) {
          const auto number = static_cast<float>(value);
          return number >= 0 && number < kLimit && number == std::floor(number);
        });
        return counts ? static_cast<std::int64_t>(*std::ranges::max_element(inputs)) + 1 : 0;
      },
      dataset.inputs);
}

}  // namespace

DataShape shape_of(const DataSplits& splits) {
  const Dataset& dataset = *splits.train.dataset;
  return {.task = dataset.task,
          .sample_shape = dataset.sample_shape,
          .outputs =
              static_cast<std::int64_t>(dataset.task == Task::classification ? dataset.class_names.size()
                                                                             : dataset.target_names.size()),
          .positions = dataset.positions,
          .tokens = token_count(dataset, *splits.train.normalization),
          .train_count = splits.train.count(),
          .validation_count = splits.validation.count(),
          .test_count = splits.test.count()};
}

}  // namespace regatta
