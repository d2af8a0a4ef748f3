// What a host is asked before crews are started on it, and what it answers: one line of JSON, written by
// `regatta probe` there.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace regatta {

struct ProbeQuestion {
  std::filesystem::path file;          // in the study's folder or above it; empty: not asked
  std::string token;                   // what stands in the file, and what is heard at the endpoints
  std::vector<std::string> endpoints;  // of the coordinator
  std::string interface;               // see find_interface; empty: any
  bool cards = false;                  // count them, which may take a second
};

struct ProbeAnswer {
  std::string version;  // of regatta
  std::string host;     // as it calls itself
  int cores = 1;        // usable
  int cards = 0;
  std::string why_no_cards;
  bool sees_file = true;
  std::vector<bool> reaches;  // by endpoint
  std::string no_interface;   // a sentence where it has no such interface
};

// The arguments of `regatta` that put the question.
std::vector<std::string> probe_arguments(const ProbeQuestion& question);

// On the host that is asked. Takes two seconds for each endpoint that cannot be reached.
ProbeAnswer answer_probe(const ProbeQuestion& question, const std::string& version);

std::string encode(const ProbeAnswer& answer);
// From all that the program and the agent have written; nullopt: there is no answer in it.
std::optional<ProbeAnswer> find_answer(const std::string& output);

}  // namespace regatta
