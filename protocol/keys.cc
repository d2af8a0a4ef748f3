// Two small JSON files, each written as a whole.
#include "protocol/keys.h"

#include <fmt/format.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/log.h"

namespace regatta {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kKeyCharacters = 40;
constexpr fs::perms kOwnerOnly = fs::perms::owner_read | fs::perms::owner_write;

fs::path keys_path(const fs::path& folder) { return folder / "keys.json"; }
fs::path address_path(const fs::path& folder) { return folder / "coordinator.json"; }

struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

Result<KeyPair> make_key_pair() {
  std::array<char, kKeyCharacters + 1> public_key{};
  std::array<char, kKeyCharacters + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    return failure(errno == ENOTSUP
                       ? "this libzmq was built without CURVE encryption: install one that is built with "
                         "libsodium (Debian: libzmq5)"
                       : fmt::format("cannot make keys: {}", zmq_strerror(errno)));
  }
  return KeyPair{public_key.data(), secret_key.data()};
}

Result<json> read_json(const fs::path& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path));
  json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) {
    return failure(fmt::format("{} is damaged: not a JSON object", path.string()));
  }
  return parsed;
}

Result<std::string> read_key(const json& keys, const char* name, const fs::path& path) {
  const auto found = keys.find(name);
  if (found == keys.end() || !found->is_string() ||
      found->get_ref<const std::string&>().size() != kKeyCharacters) {
    return failure(fmt::format("{} is damaged: '{}' is not a key of {} characters", path.string(), name,
                               kKeyCharacters));
  }
  return found->get<std::string>();
}

void warn_if_others_can_read(const fs::path& path) {
  std::error_code error;
  const fs::perms permissions = fs::status(path, error).permissions();
  if (!error && (permissions & (fs::perms::group_read | fs::perms::others_read)) != fs::perms::none) {
    spdlog::warn("other users can read {} and join the study; 'chmod 600' it", path.string());
  }
}

}  // namespace

Result<StudyKeys> make_keys(const fs::path& folder) {
  if (std::error_code ignored; fs::exists(keys_path(folder), ignored)) {
    return read_keys(folder);
  }
  ASSIGN_OR_RETURN(const KeyPair server, make_key_pair());
  ASSIGN_OR_RETURN(const KeyPair client, make_key_pair());
  const json text = {{"server_public", server.public_key},
                     {"server_secret", server.secret_key},
                     {"client_public", client.public_key},
                     {"client_secret", client.secret_key}};
  RETURN_IF_ERROR(write_file_atomically(keys_path(folder), text.dump(2) + "\n", kOwnerOnly));
  return StudyKeys{server.public_key, server.secret_key, client.public_key, client.secret_key};
}

Result<StudyKeys> read_keys(const fs::path& folder) {
  const fs::path path = keys_path(folder);
  ASSIGN_OR_RETURN(const json keys, read_json(path));
  warn_if_others_can_read(path);
  StudyKeys read;
  ASSIGN_OR_RETURN(read.server_public, read_key(keys, "server_public", path));
  ASSIGN_OR_RETURN(read.server_secret, read_key(keys, "server_secret", path));
  ASSIGN_OR_RETURN(read.client_public, read_key(keys, "client_public", path));
  ASSIGN_OR_RETURN(read.client_secret, read_key(keys, "client_secret", path));
  return read;
}

Status write_address(const fs::path& folder, const CoordinatorAddress& address) {
  const json text = {
      {"endpoint", address.endpoint}, {"host", address.host}, {"process_id", address.process_id}};
  return write_file_atomically(address_path(folder), text.dump(2) + "\n", kOwnerOnly);
}

Result<CoordinatorAddress> read_address(const fs::path& folder) {
  const fs::path path = address_path(folder);
  ASSIGN_OR_RETURN(const json text, read_json(path));
  const auto endpoint = text.find("endpoint");
  if (endpoint == text.end() || !endpoint->is_string()) {
    return failure(fmt::format("{} is damaged: no 'endpoint'", path.string()));
  }
  CoordinatorAddress address{.endpoint = endpoint->get<std::string>()};
  if (const auto host = text.find("host"); host != text.end() && host->is_string()) {
    address.host = host->get<std::string>();
  }
  if (const auto id = text.find("process_id"); id != text.end() && id->is_number_integer()) {
    address.process_id = id->get<long>();
  }
  return address;
}

}  // namespace regatta
