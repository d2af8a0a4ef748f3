// For logs and pipes: one line an ended trial and one a new best value, at most so many a second.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/display.h"
#include "cli/trial_text.h"

namespace regatta {
namespace {

constexpr int kLinesPerSecond = 20;

class PlainDisplay final : public Display {
 public:
  PlainDisplay(std::FILE* stream, const Clock& clock)
      : stream_(stream), clock_(clock), second_(clock.monotonic()) {}

  void update(const Frame& frame) override {
    if (clock_.monotonic() - second_ >= std::chrono::seconds(1)) {
      second_ = clock_.monotonic();
      lines_ = 0;
    }
    const NewsReader::News news = reader_.read(frame.study);
    const int limit = frame.study.trial_limit().value_or(0);
    const std::string total = limit > 0 ? fmt::format("/{}", limit) : "";
    const int ended = count_trials(frame.study).ended();
    for (const int trial : news.ended) {
      if (++lines_ > kLinesPerSecond) {
        ++left_out_;
        continue;
      }
      print(
          fmt::format("[{}] {}", format_duration(frame.elapsed_seconds), describe_ended(frame.study, trial)));
    }
    if (news.best) {
      print(fmt::format("[{}] {}; {}{} trials ended{}", format_duration(frame.elapsed_seconds),
                        describe_best(frame.study, *news.best), ended, total, time_left(frame)));
    }
    if (left_out_ > 0 && lines_ < kLinesPerSecond) {
      print(fmt::format("({} more trials ended)", left_out_));
      left_out_ = 0;
    }
    std::fflush(stream_);
  }

  void note(const std::string& line) override {
    print(line);
    std::fflush(stream_);
  }

  void finish(const Frame& frame) override {
    lines_ = 0;
    update(frame);
  }

 private:
  static std::string time_left(const Frame& frame) {
    return frame.seconds_left ? fmt::format(", about {} left", format_duration(*frame.seconds_left)) : "";
  }

  void print(std::string line) {
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), stream_);  // a reader that went away does not end the study
  }

  std::FILE* stream_;
  const Clock& clock_;
  NewsReader reader_;
  Microseconds second_;
  int lines_ = 0;  // in this second
  int left_out_ = 0;
};

}  // namespace

std::unique_ptr<Display> make_plain_display(std::FILE* stream, const Clock& clock) {
  return std::make_unique<PlainDisplay>(stream, clock);
}

}  // namespace regatta
