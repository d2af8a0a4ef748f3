// What the user sees while a study runs: a live picture on a terminal, plain lines elsewhere.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "coordinator/study.h"

namespace regatta {

struct Frame {
  const Study& study;
  std::string title;  // "fashion-mnist"
  int crews = 0;      // connected
  double elapsed_seconds = 0;
  std::optional<double> seconds_left;
  bool stopping = false;
};

class Display {
 public:
  virtual ~Display() = default;
  // May be called at any rate; draws at a bounded one.
  virtual void update(const Frame& frame) = 0;
  // A line that stays.
  virtual void note(const std::string& line) = 0;
  // Draws what is still to be told and leaves the terminal as it was.
  virtual void finish(const Frame& frame) = 0;
};

// Live when `stream` is a terminal that knows ANSI sequences (ECMA-48). The clock must outlive the display.
std::unique_ptr<Display> make_display(std::FILE* stream, const Clock& clock);
std::unique_ptr<Display> make_live_display(std::FILE* stream, const Clock& clock);
std::unique_ptr<Display> make_plain_display(std::FILE* stream, const Clock& clock);

// Finds trials that have ended and new best values since it last looked.
class NewsReader {
 public:
  struct News {
    std::vector<int> ended;
    std::optional<int> best;  // the trial with a new best value
  };
  // The first look finds nothing: what a resumed study already holds is no news.
  News read(const Study& study);

 private:
  std::vector<bool> told_;
  std::optional<double> best_;
  bool first_ = true;
};

std::string describe_ended(const Study& study, int trial);  // "trial 12 stopped after 3 epochs: …"
std::string describe_best(const Study& study, int trial);   // "best so far: trial 12, val_accuracy 0.91 …"

}  // namespace regatta
