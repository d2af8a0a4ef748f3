// ZeroMQ sockets that carry our messages, encrypted and authenticated with CURVE. Every wait has a limit and
// every queue a bound.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "protocol/keys.h"
#include "protocol/messages.pb.h"

namespace regatta {

inline constexpr std::uint32_t kProtocolVersion = 1;

// The coordinator's side. One thread.
class ServerSocket {
 public:
  struct Received {
    std::string crew;  // the name that the crew connected with
    wire::FromCrew message;
  };

  // "tcp://127.0.0.1:*" takes a free port. Only peers with the study's client key get through (ZAP).
  static Result<std::unique_ptr<ServerSocket>> bind(const std::string& endpoint, const StudyKeys& keys);
  virtual ~ServerSocket() = default;
  virtual const std::string& endpoint() const = 0;  // with the real port
  // nullopt: nothing came in time. Bytes that are no message are logged and dropped.
  virtual std::optional<Received> receive(Microseconds wait) = 0;
  // Drops the message when the crew is gone or does not read: it will reconnect and be told again.
  virtual void send(const std::string& crew, const wire::ToCrew& message) = 0;
};

// A crew's side. One thread. Reconnects by itself as long as the endpoint stays the same.
class ClientSocket {
 public:
  static Result<std::unique_ptr<ClientSocket>> connect(const std::string& endpoint, const StudyKeys& keys,
                                                       const std::string& crew);
  virtual ~ClientSocket() = default;
  virtual std::optional<wire::ToCrew> receive(Microseconds wait) = 0;
  virtual void send(const wire::FromCrew& message) = 0;
};

}  // namespace regatta
