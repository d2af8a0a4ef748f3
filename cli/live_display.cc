// Redraws a few lines in place. Sequences of ECMA-48: CUU moves up, EL clears a line, DECTCEM hides the
// cursor.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "cli/display.h"
#include "cli/table.h"
#include "cli/trial_text.h"

namespace regatta {
namespace {

constexpr Microseconds kFrameTime = std::chrono::milliseconds(200);
constexpr int kBarWidth = 18;
constexpr std::size_t kMostTrials = 16;  // running trials shown

std::string bar(double share) {
  static constexpr std::array<const char*, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::clamp(share, 0.0, 1.0) * kBarWidth * 8);
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) {
    text += "█";
  }
  text += kEighths[static_cast<std::size_t>(eighths % 8)];
  while (display_width(text) < kBarWidth) {
    text += "·";
  }
  return text;
}

// The first `width` code points.
std::string cut(const std::string& text, std::size_t width) {
  std::size_t points = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 && points++ == width) {
      return text.substr(0, i);
    }
  }
  return text;
}

class LiveDisplay final : public Display {
 public:
  LiveDisplay(std::FILE* stream, const Clock& clock) : stream_(stream), clock_(clock) {}
  LiveDisplay(const LiveDisplay&) = delete;
  LiveDisplay& operator=(const LiveDisplay&) = delete;
  ~LiveDisplay() override { show_cursor(); }

  void update(const Frame& frame) override {
    const Microseconds now = clock_.monotonic();
    if (drawn_once_ && now - drawn_at_ < kFrameTime) {
      return;
    }
    drawn_at_ = now;
    drawn_once_ = true;
    draw(lines_of(frame));
  }

  void note(const std::string& line) override {
    const std::vector<std::string> picture = std::exchange(shown_, {});
    write(erase(picture.size()) + line + "\n");
    draw(picture);
  }

  void finish(const Frame& frame) override {
    draw(lines_of(frame));
    shown_.clear();
    show_cursor();
  }

 private:
  static std::string time_line(const Frame& frame) {
    std::string line = format_duration(frame.elapsed_seconds);
    if (frame.stopping) {
      return line + ", saving (Ctrl-C again ends at once)";
    }
    return frame.seconds_left ? line + fmt::format(", about {} left", format_duration(*frame.seconds_left))
                              : line;
  }

  static std::vector<std::string> lines_of(const Frame& frame) {
    const Study& study = frame.study;
    const TrialCounts counts = count_trials(study);
    const std::string total = study.trial_limit() ? fmt::format(" of {}", *study.trial_limit()) : "";
    std::vector<std::string> lines{
        "",
        fmt::format("{}   {}   {} crew{}", frame.title, time_line(frame), frame.crews,
                    frame.crews == 1 ? "" : "s"),
        fmt::format("trials {}{}: {}", study.trials().size(), total, describe(counts)),
    };
    add_running(study, lines);
    if (const auto best = study.best_trial()) {
      lines.push_back(describe_best(study, *best));
    } else if (const auto leader = leading_trial(study)) {
      lines.push_back(describe_best(study, *leader));
    }
    return lines;
  }

  // Before the first trial ends, the best of those that have reported.
  static std::optional<int> leading_trial(const Study& study) {
    std::optional<int> leader;
    for (const Trial& trial : study.trials()) {
      if (!trial.values.empty() &&
          (!leader || trial.values < study.trials()[static_cast<std::size_t>(*leader)].values)) {
        leader = trial.number;
      }
    }
    return leader;
  }

  static void add_running(const Study& study, std::vector<std::string>& lines) {
    std::size_t running = 0;
    for (const Trial& trial : study.trials()) {
      if (trial.state != TrialState::running || ++running > kMostTrials) {
        continue;
      }
      const int goal = study.records()[static_cast<std::size_t>(trial.number)].until_epoch;
      const int epochs = trained_epochs(study, trial.number);
      const bool open_end = goal <= 0 || goal == kUnlimitedEpochs;
      const std::string progress = open_end ? fmt::format("{} epochs", epochs)
                                            : fmt::format("{} {}/{}", bar(1.0 * epochs / goal), epochs, goal);
      const auto value = user_value(study, trial.number);
      lines.push_back(fmt::format("  {:>4}  {}  {}  {}", trial.number, progress,
                                  value ? format_value(*value) : "-", describe_point(study, trial.number)));
    }
    if (running > kMostTrials) {
      lines.push_back(fmt::format("  and {} more", running - kMostTrials));
    }
  }

  void draw(const std::vector<std::string>& lines) {
    const auto [width, height] = window();
    std::string text = erase(shown_.size());
    if (!cursor_hidden_) {
      text += "\x1b[?25l";
      cursor_hidden_ = true;
    }
    shown_.assign(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(std::min(lines.size(), height)));
    for (std::string& line : shown_) {
      line = cut(line, width);
      text += line + "\n";
    }
    write(text);
  }

  // Clears the last `lines` lines and leaves the cursor at their start.
  static std::string erase(std::size_t lines) {
    return lines == 0 ? std::string() : fmt::format("\r\x1b[{}A\x1b[J", lines);
  }

  struct Window {
    std::size_t width = 80;
    std::size_t height = 24;
  };
  Window window() const {
    winsize size{};
    if (::ioctl(::fileno(stream_), TIOCGWINSZ, &size) != 0 || size.ws_col < 2 || size.ws_row < 2) {
      return {};
    }
    return {.width = size.ws_col - 1U, .height = size.ws_row - 1U};
  }

  void show_cursor() {
    if (cursor_hidden_) {
      write("\x1b[?25h");
      cursor_hidden_ = false;
    }
  }

  void write(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stream_);
    std::fflush(stream_);
  }

  std::FILE* stream_;
  const Clock& clock_;
  std::vector<std::string> shown_;
  Microseconds drawn_at_{0};
  bool drawn_once_ = false;
  bool cursor_hidden_ = false;
};

}  // namespace

std::unique_ptr<Display> make_live_display(std::FILE* stream, const Clock& clock) {
  return std::make_unique<LiveDisplay>(stream, clock);
}

}  // namespace regatta
