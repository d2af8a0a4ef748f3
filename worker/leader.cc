// The thread's loop: send what is to be said, receive until there is more to say, look after the connection.
#include "worker/leader.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/host.h"
#include "base/log.h"
#include "base/seconds.h"
#include "base/text.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Microseconds kTick = milliseconds(50);             // between looks after the connection
constexpr Microseconds kFirstHeartbeat = milliseconds(500);  // until Welcome says otherwise
constexpr Microseconds kHelloInterval = seconds(3);          // each Hello that arrives is answered in full
constexpr Microseconds kLastWords = seconds(2);
constexpr int kSilentHeartbeats = 2;  // heartbeats are answered: after so many something is wrong
constexpr std::size_t kMostQueued = 10'000;
constexpr const char* kProgramVersion = REGATTA_VERSION;

}  // namespace

CoordinatorLink::CoordinatorLink(LeaderOptions options, const Clock& clock)
    : options_(std::move(options)),
      lanes_(options_.lanes),
      clock_(clock),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      heartbeat_(kFirstHeartbeat),
      orphan_limit_(options_.first_contact_limit),
      last_heard_(clock.monotonic()) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

CoordinatorLink::~CoordinatorLink() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kLastWords, [this] { return outbox_.empty() || error_.has_value(); });
  }
  thread_.request_stop();
  wake();
  thread_.join();
  ::close(wake_);
}

Result<std::optional<wire::ToCrew>> CoordinatorLink::receive(Microseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [this] { return !inbox_.empty() || error_.has_value(); });
  if (!inbox_.empty()) {
    std::optional<wire::ToCrew> message(std::move(inbox_.front()));
    inbox_.pop_front();
    return message;
  }
  if (error_) {
    return *error_;
  }
  return std::optional<wire::ToCrew>();
}

Status CoordinatorLink::send(wire::FromCrew message) {
  std::unique_lock lock(mutex_);
  const bool has_room = changed_.wait_for(lock, orphan_limit_, [this] {
    return outbox_.size() + unanswered_ < kMostQueued || error_.has_value();
  });
  if (error_) {
    return *error_;
  }
  if (!has_room) {
    return timed_out(fmt::format("{} messages wait for the coordinator's answer", kMostQueued));
  }
  outbox_.push_back(std::move(message));
  wake();
  return {};
}

void CoordinatorLink::wait_for_answers(Microseconds limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit,
                    [this] { return (outbox_.empty() && unanswered_ == 0) || error_.has_value(); });
}

void CoordinatorLink::wake() {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof(one));  // refused when it has not been read for ages: then it is awake
}

Microseconds CoordinatorLink::silence() const {
  const std::lock_guard lock(mutex_);
  return clock_.monotonic() - last_heard_;
}

bool CoordinatorLink::is_orphaned() const {
  const std::lock_guard lock(mutex_);
  return clock_.monotonic() - last_heard_ > orphan_limit_;
}

void CoordinatorLink::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      const std::lock_guard lock(mutex_);
      if (error_) {
        return;
      }
    }
    tick();
  }
}

void CoordinatorLink::tick() {
  connect_if_moved();
  send_outbox();
  if (socket_ == nullptr || inbox_full()) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kTick, [] { return false; });
  } else if (const auto message = socket_->receive(std::min(kTick, heartbeat_), wake_)) {
    handle(*message);
  }
  keep_alive();
}

bool CoordinatorLink::inbox_full() const {
  const std::lock_guard lock(mutex_);
  return inbox_.size() >= kMostQueued;
}

// Looks into coordinator.json while there is no connection or the coordinator is silent.
void CoordinatorLink::connect_if_moved() {
  const Microseconds now = clock_.monotonic();
  const bool is_silent = silence() > kSilentHeartbeats * heartbeat_;
  if ((socket_ != nullptr && !is_silent) || (last_looked_.count() > 0 && now - last_looked_ < heartbeat_)) {
    return;
  }
  last_looked_ = now;
  auto address = read_address(options_.folder);
  if (!address.ok()) {  // being rewritten, or not there yet
    trouble_ = address.error().message;
    return;
  }
  if (socket_ != nullptr && address->endpoint == address_.endpoint &&
      address->process_id == address_.process_id) {
    trouble_ = fmt::format("the coordinator at {} does not answer", address->endpoint);
    return;
  }
  const auto keys = read_keys(options_.folder);
  if (!keys.ok()) {
    trouble_ = keys.error().message;
    return;
  }
  if (greeted_) {
    spdlog::info("the coordinator has moved to {}", address->endpoint);
  }
  socket_.reset();
  auto socket = ClientSocket::connect(address->endpoint, *keys, options_.name);
  if (!socket.ok()) {
    trouble_ = socket.error().message;
    return;
  }
  socket_ = std::move(socket).value();
  address_ = std::move(address).value();
  say_hello();
}

void CoordinatorLink::say_hello() {
  welcomed_ = false;
  wire::FromCrew message;
  wire::Hello& hello = *message.mutable_hello();
  hello.set_protocol_version(kProtocolVersion);
  hello.set_program_version(kProgramVersion);
  hello.set_host(host_name());
  hello.set_process_id(::getpid());
  hello.set_ranks(static_cast<std::uint32_t>(options_.ranks));
  hello.set_lanes(static_cast<std::uint32_t>(lanes_));
  for (const std::int64_t attempt : logbook_.attempts()) {
    hello.add_attempts(attempt);
  }
  transmit(message);
}

void CoordinatorLink::send_outbox() {
  std::uint64_t ignored = 0;
  (void)!::read(wake_, &ignored, sizeof(ignored));  // before the outbox: what comes later wakes again
  std::deque<wire::FromCrew> messages;
  {
    const std::lock_guard lock(mutex_);
    messages.swap(outbox_);
    unanswered_ = logbook_.size() + messages.size();
  }
  for (const wire::FromCrew& message : messages) {
    if (logbook_.say(message) && welcomed_) {
      transmit(message);  // what the socket drops is still in the logbook
    }
  }
  if (!messages.empty()) {
    changed_.notify_all();
  }
}

void CoordinatorLink::transmit(const wire::FromCrew& message) {
  last_sent_ = clock_.monotonic();
  socket_->send(message);
}

void CoordinatorLink::handle(const wire::ToCrew& message) {
  {
    const std::lock_guard lock(mutex_);
    last_heard_ = clock_.monotonic();
  }
  if (message.has_refused()) {
    break_off(failure(fmt::format("the coordinator refused this crew: {}", message.refused().reason())));
  } else if (message.has_introduce()) {
    say_hello();
  } else if (message.has_welcome()) {
    welcome(message.welcome());
  }
  bool is_news = logbook_.hear(message);
  if (message.has_welcome()) {
    is_news = !std::exchange(greeted_, true);
  }
  const std::lock_guard lock(mutex_);
  unanswered_ = logbook_.size();
  if (is_news) {
    inbox_.push_back(message);
  }
  changed_.notify_all();
}

void CoordinatorLink::welcome(const wire::Welcome& message) {
  welcomed_ = true;
  trouble_.clear();
  heartbeat_ = std::max<Microseconds>(milliseconds(message.heartbeat_ms()), milliseconds(10));
  {
    const std::lock_guard lock(mutex_);
    orphan_limit_ = std::max<Microseconds>(milliseconds(message.orphan_limit_ms()), heartbeat_);
  }
  for (const wire::FromCrew& said : logbook_.unanswered()) {
    transmit(said);
  }
}

void CoordinatorLink::keep_alive() {
  if (!greeted_ && is_orphaned()) {
    break_off(timed_out(fmt::format("no coordinator answered within {}: {}",
                                    format_duration(in_seconds(options_.first_contact_limit)), trouble_)));
    return;
  }
  if (socket_ == nullptr || clock_.monotonic() - last_sent_ < heartbeat_) {
    return;
  }
  if (!welcomed_) {
    if (clock_.monotonic() - last_sent_ >= kHelloInterval) {
      say_hello();
    }
    return;
  }
  wire::FromCrew heartbeat;
  heartbeat.mutable_heartbeat();
  transmit(heartbeat);
}

void CoordinatorLink::break_off(Error error) {
  const std::lock_guard lock(mutex_);
  error_ = std::move(error);
  changed_.notify_all();
}

}  // namespace regatta
