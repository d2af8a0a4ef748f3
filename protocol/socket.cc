// ROUTER and DEALER over TCP. No call here waits beyond its limit, and a full queue refuses instead of
// waiting.
#include "protocol/socket.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstring>
#include <string_view>
#include <zmq.hpp>

#include "base/log.h"
#include "protocol/authenticator.h"
#include "protocol/framing.h"
#include "protocol/rate_limit.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;

constexpr int kQueuedMessages = 1000;        // a peer, a direction
constexpr int kLingerMs = 1000;              // for the last words
constexpr int kHeartbeatIntervalMs = 2000;   // ZeroMQ's own, below ours: finds dead connections
constexpr int kHeartbeatTimeoutMs = 10'000;  // generous: a busy machine is no dead one
constexpr int kHandshakeLimitMs = 10'000;
constexpr int kConnectLimitMs = 5000;
constexpr int kFirstReconnectMs = 50;
constexpr int kLongestReconnectMs = 1000;
constexpr int kKeepaliveIdleSeconds = 30;
constexpr int kKeepaliveIntervalSeconds = 5;
constexpr int kKeepaliveProbes = 3;
constexpr int kWaitingConnections = 4096;  // thousands of crews may start at once

Status check_curve() {
  if (zmq_has("curve") == 0) {
    return failure(
        "this libzmq was built without CURVE encryption: install one that is built with libsodium (Debian: "
        "libzmq5)");
  }
  return {};
}

void set_limits(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::linger, kLingerMs);
  socket.set(zmq::sockopt::sndhwm, kQueuedMessages);
  socket.set(zmq::sockopt::rcvhwm, kQueuedMessages);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kMaxMessageBytes));
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatIntervalMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::heartbeat_ttl, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::handshake_ivl, kHandshakeLimitMs);
  socket.set(zmq::sockopt::connect_timeout, kConnectLimitMs);
  socket.set(zmq::sockopt::reconnect_ivl, kFirstReconnectMs);
  socket.set(zmq::sockopt::reconnect_ivl_max, kLongestReconnectMs);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::tcp_keepalive_idle, kKeepaliveIdleSeconds);
  socket.set(zmq::sockopt::tcp_keepalive_intvl, kKeepaliveIntervalSeconds);
  socket.set(zmq::sockopt::tcp_keepalive_cnt, kKeepaliveProbes);
}

// Also ends when `wake`, a descriptor, becomes readable.
bool wait_until_readable(zmq::socket_t& socket, Microseconds wait, int wake = -1) {
  std::array<zmq::pollitem_t, 2> items{{{socket.handle(), 0, ZMQ_POLLIN, 0}, {nullptr, wake, ZMQ_POLLIN, 0}}};
  zmq::poll(items.data(), wake < 0 ? 1 : 2, std::chrono::ceil<milliseconds>(wait));
  return (items[0].revents & ZMQ_POLLIN) != 0;
}

// Interrupted by a signal: no error, the caller looks at its flags and calls again.
void log_unless_interrupted(const zmq::error_t& error) {
  if (error.num() != EINTR) {
    spdlog::error("cannot read from the network: {}", error.what());
  }
}

void discard_rest(zmq::socket_t& socket, bool more) {
  while (more) {
    zmq::message_t part;
    more = socket.recv(part, zmq::recv_flags::dontwait).has_value() && part.more();
  }
}

class RouterSocket final : public ServerSocket {
 public:
  RouterSocket() = default;
  RouterSocket(const RouterSocket&) = delete;
  RouterSocket& operator=(const RouterSocket&) = delete;
  ~RouterSocket() override {
    socket_.close();      // first: see Authenticator
    context_.shutdown();  // ends the authenticator at once; what lingers is still sent
  }

  Status bind(const std::string& endpoint, const StudyKeys& keys) {
    ASSIGN_OR_RETURN(authenticator_, Authenticator::start(context_, keys.client_public));
    try {
      socket_ = zmq::socket_t(context_, zmq::socket_type::router);
      set_limits(socket_);
      socket_.set(zmq::sockopt::curve_server, true);
      socket_.set(zmq::sockopt::curve_secretkey, keys.server_secret);
      socket_.set(zmq::sockopt::zap_domain, "regatta");
      socket_.set(zmq::sockopt::backlog, kWaitingConnections);
      // A crew that reconnects before its old connection is known to be dead takes its name over.
      socket_.set(zmq::sockopt::router_handover, true);
      // Sending to a crew that is gone is an error that send() reports, instead of silence.
      socket_.set(zmq::sockopt::router_mandatory, true);
      // Only where it is asked for: with it libzmq reports IPv4 addresses in their IPv6 form.
      socket_.set(zmq::sockopt::ipv6, endpoint.find('[') != std::string::npos);
      socket_.bind(endpoint);
      endpoint_ = socket_.get(zmq::sockopt::last_endpoint);
    } catch (const zmq::error_t& error) {
      return failure(fmt::format("cannot listen on {}: {}", endpoint, error.what()));
    }
    return {};
  }

  const std::string& endpoint() const override { return endpoint_; }

  std::optional<Received> receive(Microseconds wait) override {
    const Deadline deadline(clock_, wait);
    try {
      do {
        if (!wait_until_readable(socket_, deadline.remaining())) {
          return std::nullopt;
        }
        if (auto received = receive_one()) {
          return received;
        }
      } while (!deadline.passed());
    } catch (const zmq::error_t& error) {
      log_unless_interrupted(error);
    }
    return std::nullopt;
  }

  bool send(const std::string& crew, const wire::ToCrew& message) override {
    const std::string bytes = message.SerializeAsString();
    CHECK(bytes.size() <= kMaxMessageBytes, "a message to a crew is larger than the protocol allows");
    try {
      return socket_.send(zmq::buffer(crew), zmq::send_flags::sndmore | zmq::send_flags::dontwait) &&
             socket_.send(zmq::buffer(bytes), zmq::send_flags::dontwait);
    } catch (const zmq::error_t& error) {
      if (error.num() != EHOSTUNREACH) {
        spdlog::warn("cannot send to {}: {}", crew, error.what());
      }
      return false;
    }
  }

 private:
  // nullopt: what came was no message of ours.
  std::optional<Received> receive_one() {
    zmq::message_t name;
    zmq::message_t payload;
    if (!socket_.recv(name, zmq::recv_flags::dontwait)) {
      return std::nullopt;
    }
    if (name.more()) {
      (void)socket_.recv(payload, zmq::recv_flags::dontwait);
    }
    const bool too_long = payload.more();
    discard_rest(socket_, too_long);
    const auto connection = connection_of(payload);
    auto message = parse_from_crew(payload.to_string_view());
    if (too_long || !connection || !message || !is_crew_name(name.to_string_view())) {
      if (const auto count = junk_limit_.let_through()) {
        spdlog::warn("dropped {} bytes that are no message of this protocol ({} such since the last line)",
                     payload.size(), *count);
      }
      return std::nullopt;
    }
    return Received{name.to_string(), *connection, *std::move(message)};
  }

  // The user id that the authenticator gave to the connection; none: not admitted by it.
  static std::optional<std::uint64_t> connection_of(zmq::message_t& payload) {
    const char* user_id = zmq_msg_gets(payload.handle(), "User-Id");
    std::uint64_t connection = 0;
    if (user_id == nullptr ||
        std::from_chars(user_id, user_id + std::strlen(user_id), connection).ec != std::errc()) {
      return std::nullopt;
    }
    return connection;
  }

  SystemClock clock_;
  RateLimit junk_limit_;
  zmq::context_t context_;
  std::unique_ptr<Authenticator> authenticator_;
  zmq::socket_t socket_;
  std::string endpoint_;
};

class DealerSocket final : public ClientSocket {
 public:
  Status connect(const std::string& endpoint, const StudyKeys& keys, const std::string& crew) {
    try {
      socket_ = zmq::socket_t(context_, zmq::socket_type::dealer);
      set_limits(socket_);
      socket_.set(zmq::sockopt::curve_serverkey, keys.server_public);
      socket_.set(zmq::sockopt::curve_publickey, keys.client_public);
      socket_.set(zmq::sockopt::curve_secretkey, keys.client_secret);
      socket_.set(zmq::sockopt::routing_id, crew);
      socket_.set(zmq::sockopt::ipv6, true);  // IPv4 addresses go on working
      socket_.connect(endpoint);
    } catch (const zmq::error_t& error) {
      return failure(fmt::format("cannot connect to {}: {}", endpoint, error.what()));
    }
    return {};
  }

  std::optional<wire::ToCrew> receive(Microseconds wait, int wake) override {
    const Deadline deadline(clock_, wait);
    try {
      do {
        if (!wait_until_readable(socket_, deadline.remaining(), wake)) {
          return std::nullopt;
        }
        zmq::message_t payload;
        if (!socket_.recv(payload, zmq::recv_flags::dontwait)) {
          continue;
        }
        const bool too_long = payload.more();
        discard_rest(socket_, too_long);
        if (auto message = parse_to_crew(payload.to_string_view()); message && !too_long) {
          return message;
        }
        if (const auto count = junk_limit_.let_through()) {
          spdlog::warn("dropped {} bytes that are no message of this protocol ({} such since the last line)",
                       payload.size(), *count);
        }
      } while (!deadline.passed());
    } catch (const zmq::error_t& error) {
      log_unless_interrupted(error);
    }
    return std::nullopt;
  }

  bool send(const wire::FromCrew& message) override {
    const std::string bytes = message.SerializeAsString();
    CHECK(bytes.size() <= kMaxMessageBytes,
          "a message to the coordinator is larger than the protocol allows");
    try {
      return socket_.send(zmq::buffer(bytes), zmq::send_flags::dontwait).has_value();
    } catch (const zmq::error_t& error) {
      spdlog::warn("cannot send to the coordinator: {}", error.what());
      return false;
    }
  }

 private:
  SystemClock clock_;
  RateLimit junk_limit_;
  zmq::context_t context_;
  zmq::socket_t socket_;
};

}  // namespace

Result<std::unique_ptr<ServerSocket>> ServerSocket::bind(const std::string& endpoint, const StudyKeys& keys) {
  RETURN_IF_ERROR(check_curve());
  auto socket = std::make_unique<RouterSocket>();
  RETURN_IF_ERROR(socket->bind(endpoint, keys));
  return std::unique_ptr<ServerSocket>(std::move(socket));
}

Result<std::unique_ptr<ClientSocket>> ClientSocket::connect(const std::string& endpoint,
                                                            const StudyKeys& keys, const std::string& crew) {
  RETURN_IF_ERROR(check_curve());
  CHECK(is_crew_name(crew), crew);
  auto socket = std::make_unique<DealerSocket>();
  RETURN_IF_ERROR(socket->connect(endpoint, keys, crew));
  return std::unique_ptr<ClientSocket>(std::move(socket));
}

}  // namespace regatta
