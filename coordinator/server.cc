// One thread and no shared state: what the study decides in a batch becomes durable before a word of it is
// sent.
#include "coordinator/server.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/host.h"
#include "base/log.h"
#include "coordinator/checkpoint_files.h"
#include "coordinator/translation.h"
#include "protocol/framing.h"
#include "protocol/keys.h"
#include "protocol/socket.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kBatch = 1000;             // messages in one transaction: bounds how long answers wait
constexpr seconds kTickInterval{1};      // leases and the time limit pass without messages too
constexpr seconds kStopped{5};           // without a tick: this process was stopped, not its crews silent
constexpr seconds kSilence{30};          // a crew not heard for so long is not waited for
constexpr milliseconds kLastWords{200};  // what a crew sent before it ended may take so long to be read

// "tcp://[::1]:5000" → "5000"; empty when there is none.
std::string port_of(const std::string& endpoint) {
  const std::size_t colon = endpoint.rfind(':');
  return colon == std::string::npos ? "" : endpoint.substr(colon + 1);
}

std::string endpoint_at(const std::string& address, const std::string& port) {
  const bool bare_ipv6 = address.find(':') != std::string::npos && address.front() != '[';
  return fmt::format("tcp://{}:{}", bare_ipv6 ? fmt::format("[{}]", address) : address, port);
}

// Crews that outlived the last coordinator look for it at its port.
Result<std::unique_ptr<ServerSocket>> bind_socket(const ServerOptions& options, const StudyKeys& keys) {
  if (const auto last = read_address(options.folder); last.ok()) {
    const std::string endpoint = endpoint_at(options.bind_address, port_of(last->endpoint));
    if (auto socket = ServerSocket::bind(endpoint, keys); socket.ok()) {
      return socket;
    }
    spdlog::info("{} is not free any more; crews will find the new port in coordinator.json", endpoint);
  }
  return ServerSocket::bind(endpoint_at(options.bind_address, "*"), keys);
}

// What peers connect to: a socket that listens on every interface is reached by the host's name.
std::string reachable_endpoint(const ServerSocket& socket, const std::string& bind_address) {
  const bool everywhere =
      bind_address == "0.0.0.0" || bind_address == "*" || bind_address == "::" || bind_address == "[::]";
  return everywhere ? endpoint_at(host_name(), port_of(socket.endpoint())) : socket.endpoint();
}

// Each crew's connection takes a descriptor, and many systems start programs with 1,024.
void allow_many_connections() {
  constexpr rlim_t kEnough = 1 << 18;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < kEnough) {
    limit.rlim_cur = std::min(limit.rlim_max, kEnough);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

wire::ToCrew refusal(const std::string& reason) {
  wire::ToCrew message;
  message.mutable_refused()->set_reason(reason);
  return message;
}

}  // namespace

class Server::Implementation {
 public:
  Implementation(Study& study, Store& store, const Clock& clock, ServerOptions options)
      : study_(study),
        store_(store),
        clock_(clock),
        options_(std::move(options)),
        last_tick_(clock.monotonic()) {}

  Status start() {
    write_welcome();
    if (welcome_.ByteSizeLong() > kMaxMessageBytes / 2) {
      return user_mistake(fmt::format("the experiment is too large to be sent to crews: {} bytes, at most {}",
                                      welcome_.ByteSizeLong(), kMaxMessageBytes / 2));
    }
    ASSIGN_OR_RETURN(const StudyKeys keys, make_keys(options_.folder));
    allow_many_connections();
    ASSIGN_OR_RETURN(socket_, bind_socket(options_, keys));
    endpoint_ = reachable_endpoint(*socket_, options_.bind_address);
    return write_address(options_.folder,
                         {.endpoint = endpoint_, .host = host_name(), .process_id = ::getpid()});
  }

  Status step(Microseconds wait) {
    auto received = socket_->receive(std::min(wait, until_due()));
    if (stood_still()) {
      tick();  // before what has waited in the socket meanwhile is judged by the clock
    }
    for (int count = 0; received && count < kBatch; ++count) {
      handle(*received);
      received = count + 1 < kBatch ? socket_->receive(Microseconds(0)) : std::nullopt;
    }
    if (clock_.monotonic() - last_tick_ >= kTickInterval) {
      tick();
    }
    while (!exits_.empty() && exits_.front().due <= clock_.monotonic()) {
      tell(exits_.front().lost);
      exits_.pop_front();
    }
    return commit();
  }

  Status crew_exited(const std::string& crew, bool preempted, const std::string& reason) {
    peers_.erase(crew);
    exits_.push_back({.due = clock_.monotonic() + kLastWords,
                      .lost = {.crew = crew, .preempted = preempted, .reason = reason}});
    return commit();
  }

  Status request_stop(const StopOptions& options) {
    comes_back_ = options.comes_back;
    tell(StopRequested{.why = options.why});
    return commit();
  }

  const std::string& endpoint() const { return endpoint_; }

  bool idle() const {
    const auto records = study_.records();
    return std::none_of(records.begin(), records.end(),
                        [](const TrialRecord& record) { return record.attempt.has_value(); });
  }

  bool finished() const { return study_.ended() && crews_connected() == 0; }

  std::vector<std::string> connected_crews() const {
    const Microseconds limit = clock_.monotonic() - kSilence;
    std::vector<std::string> crews;
    for (const auto& [crew, peer] : peers_) {
      if (!peer.dismissed && peer.heard > limit) {
        crews.push_back(crew);
      }
    }
    return crews;
  }

  int crews_connected() const { return static_cast<int>(connected_crews().size()); }

 private:
  // A crew that has said hello in this session.
  struct Peer {
    // The connection that said hello; nullopt after a message to it was dropped. On any other connection the
    // crew has to say hello before it gets work: only then is it known what it runs.
    std::optional<std::uint64_t> connection;
    Microseconds heard{0};  // monotonic
    bool dismissed = false;
  };

  // A crew's process has ended; told to the study once its last words must have been read.
  struct Exit {
    Microseconds due{0};  // monotonic
    CrewLost lost;
  };

  bool stood_still() const { return clock_.monotonic() - last_tick_ >= kStopped; }

  void tick() {
    const Microseconds now = clock_.monotonic();
    const bool stood = stood_still();
    last_tick_ = now;
    if (stood) {
      for (auto& [name, peer] : peers_) {
        peer.heard = now;
      }
      tell(Woke{});
    }
    tell(Tick{});
    if (const Status kept = store_.keep_lock(now); !kept.ok() && !broken_) {
      broken_ = kept.error();
    }
  }

  // Until step() has something to do without a message.
  Microseconds until_due() const {
    Microseconds due = last_tick_ + kTickInterval;
    if (!exits_.empty()) {
      due = std::min(due, exits_.front().due);
    }
    return std::max(Microseconds(0), due - clock_.monotonic());
  }

  void write_welcome() {
    const Experiment& experiment = study_.experiment();
    wire::Welcome& welcome = *welcome_.mutable_welcome();
    welcome.set_experiment_yaml(to_yaml(experiment.root));
    welcome.set_experiment_file(experiment.root.place().file);
    welcome.set_folder(options_.folder.string());
    welcome.set_max_epochs(options_.max_epochs);
    const auto in_ms = [](Microseconds time) {
      return static_cast<std::uint32_t>(std::chrono::duration_cast<milliseconds>(time).count());
    };
    welcome.set_heartbeat_ms(in_ms(options_.heartbeat));
    welcome.set_orphan_limit_ms(in_ms(options_.orphan_limit));
  }

  bool has_exited(const std::string& crew) const {
    return std::any_of(exits_.begin(), exits_.end(),
                       [&](const auto& exit) { return exit.lost.crew == crew; });
  }

  void handle(const ServerSocket::Received& received) {
    const auto peer = peers_.find(received.crew);
    const bool introduced = peer != peers_.end() && peer->second.connection == received.connection;
    if (peer != peers_.end()) {
      peer->second.heard = clock_.monotonic();
      if (!introduced) {
        peer->second.connection.reset();
      }
    }
    switch (received.message.what_case()) {
      case wire::FromCrew::kHello:
        if (introduced) {
          reply(received.crew) =
              welcome_;  // said twice before the first answer came: it runs what we sent since
        } else {
          welcome(received, received.message.hello());
        }
        return;
      case wire::FromCrew::kGoodbye:
        if (peer != peers_.end() && peer->second.dismissed && !slots_of(received.crew).empty()) {
          peers_.erase(peer);
          return;  // the end of its process is awaited
        }
        peers_.erase(received.crew);
        tell(CrewLost{
            .crew = received.crew,
            .preempted = true,  // it says so itself: nothing has gone wrong
            .reason = fmt::format("{} left: {}", received.crew, received.message.goodbye().reason())});
        return;
      case wire::FromCrew::kHeartbeat:
      case wire::FromCrew::kLaneFree:
        if (!introduced) {
          // No sign of life for its attempts either: it may have lost the order to start them.
          reply(received.crew).mutable_introduce();
        } else if (peer->second.dismissed) {
          reply(received.crew).mutable_dismiss();
        } else if (received.message.has_heartbeat()) {
          tell(CrewHeard{.crew = received.crew});
          reply(received.crew).mutable_alive();
        } else {
          tell(*input_from(received.crew, received.message));
        }
        return;
      default:
        break;
    }
    // After a reconnect what was queued may overtake what is said again: a later epoch's report would come
    // before an unanswered earlier one, which would then pass for a repetition. After Hello everything comes
    // in order. The last words of a process that has ended will not be said again: they count as they are.
    if (!introduced && !has_exited(received.crew)) {
      reply(received.crew).mutable_introduce();
      return;
    }
    tell(*input_from(received.crew, received.message));
    if (received.message.has_attempt_finished()) {
      wire::EndAttempt& noted = *reply(received.crew).mutable_end_attempt();
      noted.set_attempt(received.message.attempt_finished().attempt());
      noted.set_reason("stored");
    }
  }

  void welcome(const ServerSocket::Received& received, const wire::Hello& hello) {
    if (hello.protocol_version() != kProtocolVersion) {
      const std::string reason = fmt::format(
          "crew {} on host {} (regatta {}) speaks version {} of the protocol, the coordinator version {}: "
          "install the same regatta on all hosts",
          received.crew, hello.host(), hello.program_version(), hello.protocol_version(), kProtocolVersion);
      spdlog::error("{}", reason);
      reply(received.crew) = refusal(reason);
      return;
    }
    Peer& peer = peers_[received.crew];
    peer = {.connection = received.connection, .heard = clock_.monotonic()};
    spdlog::debug("{} joined: host {}, process {}, {} ranks", received.crew, hello.host(), hello.process_id(),
                  hello.ranks());
    reply(received.crew) = welcome_;
    tell(CrewJoined{.crew = received.crew,
                    .lanes = static_cast<int>(hello.lanes()),
                    .attempts = {hello.attempts().begin(), hello.attempts().end()},
                    .slots = slots_of(received.crew)});
  }

  std::vector<int> slots_of(const std::string& crew) const {
    return options_.slots_of ? options_.slots_of(crew) : std::vector<int>();
  }

  wire::ToCrew& reply(const std::string& crew) {
    outbox_.push_back({.crew = crew});
    return outbox_.back().message;
  }

  void tell(const Input& input) {
    if (!broken_) {
      take(study_.handle(input, clock_.wall()));
    }
  }

  void take(Reaction reaction) {
    std::move(reaction.events.begin(), reaction.events.end(), std::back_inserter(events_));
    for (const Command& command : reaction.commands) {
      if (auto outgoing = outgoing_from(command)) {
        outbox_.push_back(*std::move(outgoing));
      } else if (const auto* reshape = std::get_if<ReshapeCrews>(&command)) {
        reshapings_.push_back(*reshape);
      } else {
        obsolete_.push_back(std::get<DeleteCheckpoint>(command).checkpoint);
      }
      if (const auto* start = std::get_if<StartAttempt>(&command); start != nullptr && options_.started) {
        options_.started(*start);
      }
      if (const auto* dismiss = std::get_if<DismissCrew>(&command);
          dismiss != nullptr && options_.dismissed) {
        options_.dismissed(*dismiss);
      }
    }
  }

  // Store, then send. After an error the study is ahead of its store: nothing that follows may leave here.
  Status commit() {
    if (broken_) {
      return *broken_;
    }
    if (!events_.empty()) {
      if (Status stored = store_.append(events_, study_); !stored.ok()) {
        broken_ = stored.error();
        return stored;
      }
      events_.clear();
    }
    for (const Outgoing& outgoing : std::exchange(outbox_, {})) {
      send(outgoing);
    }
    for (const ReshapeCrews& reshaping : std::exchange(reshapings_, {})) {
      CHECK(options_.reshape, "only crews that were started here have slots");
      options_.reshape(reshaping);
    }
    for (const std::string& checkpoint : std::exchange(obsolete_, {})) {
      delete_checkpoint(options_.folder, checkpoint);
    }
    return {};
  }

  void send(const Outgoing& outgoing) {
    const auto peer = peers_.find(outgoing.crew);
    const bool introduced = peer != peers_.end() && peer->second.connection;
    const bool is_work = outgoing.message.has_start_attempt() || outgoing.message.has_evaluate_trial();
    if (is_work && !introduced) {
      return;  // its hello will tell the study that the order did not arrive
    }
    wire::ToCrew message = outgoing.message;
    if (message.has_dismiss()) {
      message.mutable_dismiss()->set_comes_back(comes_back_);
    }
    const bool sent = socket_->send(outgoing.crew, message);
    if (peer != peers_.end() && sent) {
      peer->second.dismissed |= outgoing.message.has_dismiss();
    } else if (peer != peers_.end()) {
      peer->second.connection.reset();
    }
  }

  Study& study_;
  Store& store_;
  const Clock& clock_;
  ServerOptions options_;
  wire::ToCrew welcome_;
  std::unique_ptr<ServerSocket> socket_;
  std::string endpoint_;
  std::map<std::string, Peer> peers_;
  Microseconds last_tick_;
  bool comes_back_ = false;  // after an interrupt
  std::deque<Exit> exits_;   // in the order of their due times

  // Of the batch at hand.
  std::vector<TimedEvent> events_;
  std::vector<Outgoing> outbox_;
  std::vector<ReshapeCrews> reshapings_;
  std::vector<std::string> obsolete_;
  std::optional<Error> broken_;
};

Result<std::unique_ptr<Server>> Server::start(Study& study, Store& store, const Clock& clock,
                                              ServerOptions options) {
  std::error_code error;
  options.folder = fs::absolute(options.folder, error);
  if (error) {
    return failure(fmt::format("cannot find {}: {}", options.folder.string(), error.message()));
  }
  auto implementation = std::make_unique<Implementation>(study, store, clock, std::move(options));
  RETURN_IF_ERROR(implementation->start());
  return std::unique_ptr<Server>(new Server(std::move(implementation)));
}

Server::Server(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Server::~Server() = default;

const std::string& Server::endpoint() const { return implementation_->endpoint(); }
Status Server::step(Microseconds wait) { return implementation_->step(wait); }
Status Server::crew_exited(const std::string& crew, bool preempted, const std::string& reason) {
  return implementation_->crew_exited(crew, preempted, reason);
}
Status Server::request_stop(const StopOptions& options) { return implementation_->request_stop(options); }
bool Server::idle() const { return implementation_->idle(); }
bool Server::finished() const { return implementation_->finished(); }
int Server::crews_connected() const { return implementation_->crews_connected(); }
std::vector<std::string> Server::connected_crews() const { return implementation_->connected_crews(); }

}  // namespace regatta
