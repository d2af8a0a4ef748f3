// Who may connect: the answering side of ZAP (ZeroMQ RFC 27, https://rfc.zeromq.org/spec/27).
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <zmq.hpp>

#include "base/result.h"

namespace regatta {

// Answers, in its own thread, for every new CURVE connection of one context: peers that hold the secret of
// the study's client key get through, each connection under a user id of its own ("1", "2", …), all others
// are refused.
//
// Must stand before a socket of the context binds and until that socket is closed: where nobody answers,
// libzmq lets every CURVE peer in.
class Authenticator {
 public:
  static Result<std::unique_ptr<Authenticator>> start(zmq::context_t& context,
                                                      const std::string& client_public);
  // Ends within kPollInterval; at once when the context has been shut down.
  ~Authenticator() = default;

 private:
  Authenticator(zmq::socket_t socket, std::string client_key);
  std::jthread thread_;
};

}  // namespace regatta
