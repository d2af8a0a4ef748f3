// One ZeroMQ context for all connections; ClientSocket has one each, which is what a process of its own
// needs.
#include "benchmarks/coordinator/crowd.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <vector>
#include <zmq.hpp>

#include "base/check.h"
#include "protocol/framing.h"
#include "protocol/keys.h"
#include "protocol/socket.h"

namespace regatta {
namespace {

class Connections {
 public:
  Connections(const std::filesystem::path& study, int crews) {
    const StudyKeys keys = read_keys(study).value();
    const std::string endpoint = read_address(study).value().endpoint;
    context_.set(zmq::ctxopt::max_sockets, crews + 16);
    for (int crew = 0; crew < crews; ++crew) {
      zmq::socket_t& socket = sockets_.emplace_back(context_, zmq::socket_type::dealer);
      socket.set(zmq::sockopt::linger, 0);
      socket.set(zmq::sockopt::sndhwm, 0);
      socket.set(zmq::sockopt::rcvhwm, 0);
      socket.set(zmq::sockopt::curve_serverkey, keys.server_public);
      socket.set(zmq::sockopt::curve_publickey, keys.client_public);
      socket.set(zmq::sockopt::curve_secretkey, keys.client_secret);
      socket.set(zmq::sockopt::routing_id, fmt::format("crew-{}.1", crew));
      socket.connect(endpoint);
    }
  }

  std::size_t size() const { return sockets_.size(); }

  void send(std::size_t crew, const wire::FromCrew& message) {
    const std::string bytes = message.SerializeAsString();
    sockets_[crew].send(zmq::buffer(bytes), zmq::send_flags::dontwait);
  }

  std::optional<wire::ToCrew> receive(std::size_t crew) {
    zmq::message_t payload;
    if (!sockets_[crew].recv(payload, zmq::recv_flags::dontwait)) {
      return std::nullopt;
    }
    return parse_to_crew(payload.to_string_view());
  }

 private:
  zmq::context_t context_;
  std::vector<zmq::socket_t> sockets_;
};

wire::FromCrew report_of(std::int64_t attempt) {
  wire::FromCrew message;
  wire::Report& report = *message.mutable_report();
  report.set_attempt(attempt);
  report.set_epoch(1);
  report.set_checkpoint(fmt::format("checkpoints/trial-{:05}/attempt-{}-epoch-1.program", attempt, attempt));
  report.set_seconds(1);
  wire::Metric& metric = *report.add_metrics();
  metric.set_name("loss");
  metric.set_value(1.0 / static_cast<double>(attempt));
  return message;
}

// For so long nothing has come.
void nap() { (void)::poll(nullptr, 0, 1); }

}  // namespace

Crowd::Crowd(const std::function<void()>& play) {
  std::array<int, 2> ends{};
  CHECK(::pipe(ends.data()) == 0);
  process_ = ::fork();
  CHECK(process_ >= 0);
  if (process_ == 0) {
    ::close(ends[1]);
    char go = 0;
    if (::read(ends[0], &go, 1) == 1) {
      play();
    }
    ::_exit(0);
  }
  ::close(ends[0]);
  start_ = ends[1];
}

Crowd::~Crowd() {
  ::close(start_);
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

void Crowd::go() { CHECK(::write(start_, "g", 1) == 1); }

void flood(const std::filesystem::path& study, const CrowdSize& size) {
  Connections crews(study, size.crews);
  for (int message = 0; message < size.messages; ++message) {
    for (std::size_t crew = 0; crew < crews.size(); ++crew) {
      crews.send(crew, report_of(message * size.crews + static_cast<int>(crew) + 1));
    }
  }
  for (std::int64_t left = std::int64_t{size.crews} * size.messages; left > 0;) {
    const std::int64_t before = left;
    for (std::size_t crew = 0; crew < crews.size(); ++crew) {
      left -= crews.receive(crew) ? 1 : 0;
    }
    if (left == before) {
      nap();
    }
  }
}

void row(const std::filesystem::path& study, int count) {
  Connections crews(study, count);
  wire::FromCrew message;
  wire::Hello& hello = *message.mutable_hello();
  hello.set_protocol_version(kProtocolVersion);
  hello.set_host("here");
  hello.set_ranks(1);
  hello.set_lanes(1);
  for (std::size_t crew = 0; crew < crews.size(); ++crew) {
    crews.send(crew, message);
  }
  for (int rowing = count; rowing > 0;) {
    bool idle = true;
    for (std::size_t crew = 0; crew < crews.size(); ++crew) {
      while (const auto order = crews.receive(crew)) {
        idle = false;
        if (order->has_start_attempt()) {
          crews.send(crew, report_of(order->start_attempt().attempt()));
        }
        rowing -= order->has_dismiss() ? 1 : 0;
      }
    }
    if (idle) {
      nap();
    }
  }
}

}  // namespace regatta
