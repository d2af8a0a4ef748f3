// Plain TCP, for what is tried is whether packets get through. Firewalls drop them as a rule: every wait has
// a limit.
#include "cluster/reach.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

#include "base/host.h"

namespace regatta {
namespace {

int milliseconds_of(Microseconds limit) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, std::numeric_limits<int>::max()));
}

class Socket {
 public:
  Socket() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  int descriptor() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }
  bool wait(short events, Microseconds limit) const {
    pollfd waited{.fd = descriptor_, .events = events, .revents = 0};
    return ::poll(&waited, 1, milliseconds_of(limit)) == 1;
  }

 private:
  int descriptor_;
};

// "10.0.0.1:40123"; port 0 where it names none.
bool parse_endpoint(const std::string& endpoint, sockaddr_in& address) {
  const std::size_t colon = std::min(endpoint.find(':'), endpoint.size());
  std::uint16_t port = 0;
  if (colon < endpoint.size()) {
    const char* const end = endpoint.data() + endpoint.size();
    if (const auto parsed = std::from_chars(endpoint.data() + colon + 1, end, port);
        parsed.ec != std::errc() || parsed.ptr != end) {
      return false;
    }
  }
  address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  return ::inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &address.sin_addr) == 1;
}

}  // namespace

std::string process_token() { return fmt::format("regatta-{}-{}", boot_id(), ::getpid()); }

Result<std::unique_ptr<ReachListener>> ReachListener::open(const std::vector<std::string>& addresses) {
  std::unique_ptr<ReachListener> listener(new ReachListener);
  for (const std::string& text : addresses) {
    Socket socket;
    sockaddr_in address{};
    socklen_t size = sizeof address;
    const bool opened =
        parse_endpoint(text, address) &&
        ::bind(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        ::listen(socket.descriptor(), SOMAXCONN) == 0 &&
        ::getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&address), &size) == 0;
    if (!opened) {
      return failure(fmt::format("cannot listen at {}: {}", text, std::strerror(errno)));
    }
    listener->endpoints_.push_back(fmt::format("{}:{}", text, ntohs(address.sin_port)));
    listener->sockets_.push_back(socket.release());
  }
  return listener;
}

ReachListener::~ReachListener() {
  for (const int socket : sockets_) {
    ::close(socket);
  }
}

void ReachListener::serve(Microseconds limit) {
  std::vector<pollfd> waited;
  for (const int socket : sockets_) {
    waited.push_back({.fd = socket, .events = POLLIN, .revents = 0});
  }
  ::poll(waited.data(), waited.size(), milliseconds_of(limit));
  const std::string token = process_token();
  for (const int listening : sockets_) {
    while (true) {
      const Socket peer(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
      if (peer.descriptor() < 0) {
        break;
      }
      // A few bytes into an empty buffer: never waits. Who has gone again does not matter.
      (void)!::send(peer.descriptor(), token.data(), token.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }
}

bool reaches(const std::string& endpoint, const std::string& token, Microseconds limit) {
  sockaddr_in address{};
  if (!parse_endpoint(endpoint, address)) {
    return false;
  }
  const SystemClock clock;
  const Deadline deadline(clock, limit);
  const Socket socket;
  const bool connecting =
      ::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EINPROGRESS;
  if (!connecting || !socket.wait(POLLOUT, deadline.remaining())) {
    return false;
  }
  std::string heard;
  while (heard.size() < token.size() && socket.wait(POLLIN, deadline.remaining())) {
    std::array<char, 256> buffer{};
    const ssize_t count = ::recv(socket.descriptor(), buffer.data(), buffer.size(), 0);
    if (count <= 0) {
      break;
    }
    heard.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return heard == token;
}

}  // namespace regatta
