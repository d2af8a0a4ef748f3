// One REP socket at the address that libzmq asks.
#include "protocol/authenticator.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "protocol/rate_limit.h"

namespace regatta {
namespace {

constexpr std::chrono::milliseconds kPollInterval{200};
constexpr std::size_t kKeyBytes = 32;

// version, request id, domain, address, identity, mechanism, then the mechanism's credentials.
enum RequestFrame : std::size_t {
  kVersion,
  kRequestId,
  kDomain,
  kAddress,
  kIdentity,
  kMechanism,
  kClientKey
};
using Frames = std::vector<std::string>;

// The whole message, which libzmq delivers at once or not at all.
Frames receive_frames(zmq::socket_t& socket) {
  Frames frames;
  bool more = true;
  while (more) {
    zmq::message_t frame;
    if (!socket.recv(frame, zmq::recv_flags::dontwait)) {
      break;
    }
    frames.push_back(frame.to_string());
    more = frame.more();
  }
  return frames;
}

// Why the connection is refused; empty when it is admitted.
std::string refusal(const Frames& request, std::string_view client_key) {
  if (request.size() <= kMechanism || request[kVersion] != "1.0") {
    return "an authentication request of an unknown version";
  }
  if (request[kMechanism] != "CURVE" || request.size() != kClientKey + 1) {
    return "the connection is not encrypted with CURVE";
  }
  if (request[kClientKey] != client_key) {
    return "not the key of this study";
  }
  return {};
}

class Handler {
 public:
  explicit Handler(std::string client_key) : client_key_(std::move(client_key)) {}

  void answer(zmq::socket_t& socket) {
    const Frames request = receive_frames(socket);
    if (request.empty()) {
      return;
    }
    const std::string reason = refusal(request, client_key_);
    if (!reason.empty()) {
      if (const auto count = log_limit_.let_through()) {
        spdlog::warn("refused a connection from {}: {} ({} refused since the last such line)",
                     request.size() > kAddress ? request[kAddress] : "?", reason, *count);
      }
    }
    const std::string request_id = request.size() > kRequestId ? request[kRequestId] : "";
    const std::string user_id = reason.empty() ? std::to_string(++connections_) : "";
    const std::array<std::string, 6> reply{"1.0",  request_id, reason.empty() ? "200" : "400",
                                           reason, user_id,    ""};
    for (std::size_t i = 0; i < reply.size(); ++i) {
      socket.send(zmq::buffer(reply[i]),
                  i + 1 < reply.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }

 private:
  std::string client_key_;
  std::uint64_t connections_ = 0;
  RateLimit log_limit_;
};

// Goes on after every error but the end of the context: without an answer here, libzmq would let everybody
// in.
void serve(const std::stop_token& stop, zmq::socket_t socket, std::string client_key) {
  Handler handler(std::move(client_key));
  while (!stop.stop_requested()) {
    try {
      std::array<zmq::pollitem_t, 1> items{{{socket.handle(), 0, ZMQ_POLLIN, 0}}};
      if (zmq::poll(items, kPollInterval) > 0) {
        handler.answer(socket);
      }
    } catch (const zmq::error_t& error) {
      if (error.num() == ETERM) {
        return;
      }
      if (error.num() != EINTR) {
        spdlog::error("cannot answer an authentication request: {}", error.what());
      }
    }
  }
}

}  // namespace

Result<std::unique_ptr<Authenticator>> Authenticator::start(zmq::context_t& context,
                                                            const std::string& client_public) {
  std::string client_key(kKeyBytes, '\0');
  if (zmq_z85_decode(reinterpret_cast<std::uint8_t*>(client_key.data()), client_public.c_str()) == nullptr) {
    return failure("the study's client key is not a Z85 text of 40 characters");
  }
  try {
    zmq::socket_t socket(context, zmq::socket_type::rep);
    socket.set(zmq::sockopt::linger, 0);
    socket.bind("inproc://zeromq.zap.01");
    return std::unique_ptr<Authenticator>(new Authenticator(std::move(socket), std::move(client_key)));
  } catch (const zmq::error_t& error) {
    return failure(fmt::format("cannot start the authentication of peers: {}", error.what()));
  }
}

Authenticator::Authenticator(zmq::socket_t socket, std::string client_key)
    : thread_([socket = std::move(socket), key = std::move(client_key)](const std::stop_token& stop) mutable {
        serve(stop, std::move(socket), std::move(key));
      }) {}

}  // namespace regatta
