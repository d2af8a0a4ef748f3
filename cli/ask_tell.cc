// regatta ask-tell FILE: the search alone, for programs in any language. JSON lines on standard input and
// output, one answer a request.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.h"
#include "base/file.h"
#include "base/seconds.h"
#include "cli/ask_tell_dialogue.h"
#include "cli/commands.h"
#include "cli/earlier_studies.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/request_journal.h"
#include "coordinator/learned.h"

namespace regatta {
namespace {

constexpr std::size_t kLongestLine = std::size_t{1} << 20U;

struct AskTellOptions {
  std::filesystem::path file;
  std::vector<std::string> overrides;
  std::optional<std::uint64_t> seed;
  std::optional<std::filesystem::path> state;
};

// nullopt: the client has closed its end. Of a line that is too long, one byte more than is allowed.
std::optional<std::string> read_line() {
  std::string line;
  int byte = std::getc(stdin);
  if (byte == EOF) {
    return std::nullopt;
  }
  for (; byte != EOF && byte != '\n'; byte = std::getc(stdin)) {
    if (line.size() <= kLongestLine) {
      line += static_cast<char>(byte);
    }
  }
  return line;
}

// False: nobody reads the answers any more.
bool write_line(const std::string& line) {
  return std::fwrite(line.data(), 1, line.size(), stdout) == line.size() && std::fputc('\n', stdout) != EOF &&
         std::fflush(stdout) == 0;
}

// What must be the same for the same requests to lead to the same answers.
std::string journal_head(const Experiment& experiment, const SearchConfig& config) {
  std::string text;
  for (const char* key : {"objective", "search", "space"}) {
    text += to_yaml(experiment.section_or_empty(key)) + "\n";
  }
  text += encode_learned(config.earlier);
  const nlohmann::ordered_json head = {{"regatta_ask_tell", 1},
                                       {"experiment", fmt::format("{:08x}", crc32_of(text))},
                                       {"seed", experiment.seed}};
  return head.dump();
}

Status repeat(const RequestJournal& journal, const std::filesystem::path& path, AskTellDialogue& dialogue) {
  for (std::size_t i = 0; i < journal.lines().size(); ++i) {
    const auto request = parse_request(journal.lines()[i]);
    if (!request.ok() || !dialogue.answer(*request).changed) {
      return user_mistake(
          fmt::format("{}:{}: this request cannot be repeated; the file was changed, or written "
                      "by another version of regatta",
                      path.string(), i + 2));
    }
  }
  return {};
}

Result<int> serve(AskTellDialogue& dialogue, RequestJournal* journal, const std::optional<double>& hours) {
  const SystemClock clock;
  const Microseconds began = clock.monotonic();
  while (const auto line = read_line()) {
    if (hours && in_seconds(clock.monotonic() - began) >= *hours * 3600) {
      dialogue.close();
    }
    AskTellDialogue::Answer answer;
    if (line->size() > kLongestLine) {
      answer.line = fmt::format(R"({{"error": "a line of more than {} bytes"}})", kLongestLine);
    } else {
      answer = dialogue.answer(*line);
    }
    if (journal != nullptr && answer.changed) {
      RETURN_IF_ERROR(journal->append(request_line(*answer.changed)));
    }
    if (!write_line(answer.line)) {
      break;
    }
  }
  return kExitDone;
}

Result<int> ask_tell(AskTellOptions& options) {
  if (options.seed) {
    options.overrides.push_back(fmt::format("seed={}", *options.seed));
  }
  ASSIGN_OR_RETURN(const Experiment experiment, load_experiment(options.file, options.overrides));
  ASSIGN_OR_RETURN(SearchConfig config, read_search(experiment, EndRule::optional));
  ASSIGN_OR_RETURN(config.earlier, read_earlier_studies(experiment, config.learn_from));
  AskTellDialogue dialogue(experiment, config);
  if (!options.state) {
    return serve(dialogue, nullptr, config.stop.hours);
  }
  ASSIGN_OR_RETURN(RequestJournal journal,
                   RequestJournal::open(*options.state, journal_head(experiment, config)));
  RETURN_IF_ERROR(repeat(journal, *options.state, dialogue));
  return serve(dialogue, &journal, config.stop.hours);
}

}  // namespace

void add_ask_tell_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "ask-tell", "the search alone: JSON lines on standard input and output, for programs in any language");
  const auto options = std::make_shared<AskTellOptions>();
  command->add_option("FILE", options->file, "the experiment (YAML): objective, search and space")
      ->required();
  command->add_option("--set", options->overrides, "change a value of the file: KEY=VALUE; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--seed", options->seed, "in place of the file's seed");
  command->add_option("--state", options->state,
                      "keep every request in this file, and go on from it where it exists");
  command->callback([options, &action] { action = [options] { return ask_tell(*options); }; });
}

}  // namespace regatta
