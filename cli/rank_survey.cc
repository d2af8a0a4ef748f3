// The question goes out as one broadcast and the answers come back as one allgather, while a thread of rank 0
// answers those that try to reach it.
#include "cli/rank_survey.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/host.h"
#include "cli/host_check.h"
#include "cli/program_version.h"
#include "cluster/network.h"
#include "worker/agreement.h"

namespace regatta {
namespace {

constexpr CollectiveOptions kPatient{.timeout = kFileLimit};  // rank 0 reads the data meanwhile
constexpr std::size_t kAnswerBytes = 4096;

struct Seat {
  std::array<char, 256> host{};
  std::int64_t process_id = 0;
  std::int64_t process_start = 0;
  std::int64_t cores = 1;
};

// Whether it is this rank that speaks for its host.
bool speaks(const RankSeats& seats, int rank) {
  const auto& host = seats.ranks[static_cast<std::size_t>(rank)].host;
  return std::ranges::find(seats.ranks, host, &CrewRank::host)->rank == rank;
}

Result<std::vector<std::string>> gather(Communicator& world, const std::string& mine) {
  std::vector<char> own(kAnswerBytes, '\0');
  std::memcpy(own.data(), mine.data(), std::min(mine.size(), own.size() - 1));
  std::vector<char> all(own.size() * static_cast<std::size_t>(world.size()));
  RETURN_IF_ERROR(
      world.allgather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(all)), kPatient));
  std::vector<std::string> texts;
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(world.size()); ++rank) {
    texts.emplace_back(all.data() + rank * own.size());
  }
  return texts;
}

std::string encode(const ProbeQuestion& question) {
  const nlohmann::json json{{"file", question.file.string()},
                            {"token", question.token},
                            {"endpoints", question.endpoints},
                            {"interface", question.interface},
                            {"cards", question.cards}};
  return json.dump();
}

ProbeQuestion question_of(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  return {.file = json.at("file").get<std::string>(),
          .token = json.at("token"),
          .endpoints = json.at("endpoints").get<std::vector<std::string>>(),
          .interface = json.at("interface"),
          .cards = json.at("cards")};
}

// Where ranks on other hosts might reach this one.
Result<std::vector<std::string>> candidates(const StudyPlan& plan) {
  const std::string& interface = plan.resources.interface;
  if (!interface.empty()) {
    return addresses_for({}, interface);
  }
  std::vector<std::string> addresses;
  for (const NetworkInterface& found : network_interfaces()) {
    if (!found.address.starts_with("127.")) {
      addresses.push_back(found.address);
    }
  }
  return addresses;
}

}  // namespace

Result<RankSeats> tell_seats(Communicator& world) {
  Seat mine{.host = {},
            .process_id = ::getpid(),
            .process_start = process_start(::getpid()).value_or(0),
            .cores = usable_cores()};
  const std::string host = host_name();
  std::memcpy(mine.host.data(), host.data(), std::min(host.size(), mine.host.size() - 1));
  std::vector<Seat> all(static_cast<std::size_t>(world.size()));
  RETURN_IF_ERROR(
      world.allgather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)), kPatient));
  RankSeats seats;
  for (const Seat& seat : all) {
    seats.ranks.push_back({.crew = {},
                           .rank = static_cast<int>(seats.ranks.size()),
                           .host = seat.host.data(),
                           .process_id = static_cast<long>(seat.process_id),
                           .process_start = seat.process_start});
    seats.cores.push_back(static_cast<int>(seat.cores));
    seats.one_host = seats.one_host && seats.ranks.back().host == seats.ranks.front().host;
  }
  return seats;
}

Result<RankSurvey> survey_ranks(Communicator& world, const RankSeats& seats, const StudyPlan& plan,
                                const std::filesystem::path& folder) {
  auto prepared = [&]() -> Result<std::pair<std::unique_ptr<ReachListener>, std::unique_ptr<Beacon>>> {
    ASSIGN_OR_RETURN(const std::vector<std::string> addresses, candidates(plan));
    ASSIGN_OR_RETURN(auto listener, ReachListener::open(addresses));
    ASSIGN_OR_RETURN(auto beacon, Beacon::light(folder));
    return std::pair(std::move(listener), std::move(beacon));
  }();
  if (!prepared.ok()) {
    RETURN_IF_ERROR(call_off_survey(world));
    return prepared.error();
  }
  const auto& [listener, beacon] = *prepared;
  const ProbeQuestion question{.file = beacon->path(),
                               .token = process_token(),
                               .endpoints = listener->endpoints(),
                               .interface = plan.resources.interface,
                               .cards = why_no_cards(plan).empty()};
  ASSIGN_OR_RETURN(const std::string text, broadcast_text(world, encode(question), kPatient));
  const std::jthread serving([&listener](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      listener->serve(std::chrono::milliseconds(20));
    }
  });
  ProbeQuestion own = question;
  own.endpoints.clear();  // this host reaches itself
  ProbeAnswer here = answer_probe(own, program_version());
  here.reaches.assign(question.endpoints.size(), true);
  ASSIGN_OR_RETURN(const std::vector<std::string> answers, gather(world, encode(here)));
  RankSurvey survey;
  for (const CrewRank& rank : seats.ranks) {
    if (speaks(seats, rank.rank)) {
      survey.reports.push_back({.host = {.name = rank.host, .slots = 0, .place = {}},
                                .answer = find_answer(answers[static_cast<std::size_t>(rank.rank)]),
                                .seconds = 0,
                                .trouble = {}});
      if (!survey.reports.back().answer) {
        survey.reports.back().trouble =
            "host " + rank.host +
            " has given no answer that can be read: install the same regatta on all hosts";
      }
    }
  }
  std::vector<std::string> addresses;
  for (const std::string& endpoint : question.endpoints) {
    addresses.push_back(endpoint.substr(0, endpoint.find(':')));
  }
  survey.address =
      judge(survey.reports,
            {.version = program_version(), .folder = beacon->path().parent_path(), .addresses = addresses});
  return survey;
}

Status answer_survey(Communicator& world, const RankSeats& seats) {
  ASSIGN_OR_RETURN(const std::string text, broadcast_text(world, "", kPatient));
  if (text.empty()) {
    return {};  // called off
  }
  const std::string answer =
      speaks(seats, world.rank()) ? encode(answer_probe(question_of(text), program_version())) : "";
  return gather(world, answer).ok() ? Status()
                                    : Status(failure("the ranks could not tell each other what they see"));
}

Status call_off_survey(Communicator& world) {
  const auto told = broadcast_text(world, "", kPatient);
  return told.ok() ? Status() : Status(told.error());
}

}  // namespace regatta
