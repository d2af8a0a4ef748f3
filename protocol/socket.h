// ZeroMQ sockets that carry our messages, encrypted and authenticated with CURVE. Every wait has a limit and
// every queue a bound. A message has at most kMaxMessageBytes (framing.h): long texts are cut by their
// writers.
#pragma once

#include <cstdint>
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
    std::string crew;              // the name that the crew connected with
    std::uint64_t connection = 0;  // changes when the crew connects anew: messages may have been lost between
    wire::FromCrew message;
  };

  // "tcp://127.0.0.1:*" takes a free port. Only peers with the study's client key get through (ZAP).
  static Result<std::unique_ptr<ServerSocket>> bind(const std::string& endpoint, const StudyKeys& keys);
  virtual ~ServerSocket() = default;
  virtual const std::string& endpoint() const = 0;  // with the real port
  // nullopt: nothing came in time. Bytes that are no message are logged and dropped.
  virtual std::optional<Received> receive(Microseconds wait) = 0;
  // False: dropped, because the crew is gone or does not read. True promises nothing: connections break.
  virtual bool send(const std::string& crew, const wire::ToCrew& message) = 0;
};

// A crew's side. One thread. Reconnects by itself as long as the endpoint stays the same; what was under way
// when a connection broke is lost, and the coordinator asks with Introduce to be told again.
class ClientSocket {
 public:
  // Returns at once; the connection is made in the background. `crew` is a name as is_crew_name() wants it.
  static Result<std::unique_ptr<ClientSocket>> connect(const std::string& endpoint, const StudyKeys& keys,
                                                       const std::string& crew);
  virtual ~ClientSocket() = default;
  // nullopt: nothing came in time, or before `wake`, a descriptor, became readable.
  virtual std::optional<wire::ToCrew> receive(Microseconds wait, int wake = -1) = 0;
  // Messages wait here while there is no connection. False: dropped, since too many wait already.
  virtual bool send(const wire::FromCrew& message) = 0;
};

}  // namespace regatta
