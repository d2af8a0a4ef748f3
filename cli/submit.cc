// regatta submit FILE|RUN: a study as a Slurm job that goes on by itself until the study has ended.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/host.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/submitted_jobs.h"
#include "cluster/batch_script.h"
#include "cluster/crew_processes.h"
#include "cluster/partitions.h"
#include "cluster/slurm_jobs.h"
#include "cluster/slurm_room.h"
#include "coordinator/learned.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

struct SubmitOptions {
  std::string what;  // an experiment's file, or a study's folder or name
  NewStudy study;
  JobRequest request;
  std::vector<std::string> setup;
  fs::path setup_file;
  bool dry_run = false;
  bool any_request = false;  // something was said of the job: else an earlier script is used again
};

Status check_client() {
  if (in_path("sbatch")) {
    return {};
  }
  return user_mistake(
      "sbatch is not in PATH: `regatta submit` needs Slurm's clients, on a login node of the cluster "
      "(Debian: apt "
      "install slurm-client); on this machine alone, use `regatta run`");
}

Status check_texts(const JobRequest& request) {
  if (!request.time.empty() && !parse_time_limit(request.time)) {
    return user_mistake(fmt::format(
        "--time {}: no time that Slurm knows; write minutes (90), hours (1:30:00) or days (2-12:00:00)",
        request.time));
  }
  if (!request.memory.empty() && !parse_memory_mb(request.memory)) {
    return user_mistake(fmt::format(
        "--mem {}: no amount of memory; write megabytes (4000) or gigabytes (16G)", request.memory));
  }
  const auto seconds = parse_time_limit(request.time);
  if (seconds && *seconds <= request.save_seconds) {
    return user_mistake(
        fmt::format("--time {} is no longer than the {} s that are kept for saving: give more time, or lower "
                    "--save-seconds",
                    request.time, request.save_seconds));
  }
  return {};
}

int divide_up(int dividend, int divisor) { return (dividend + divisor - 1) / divisor; }

// The CPUs that belong to the job's share of a node's cards: the most that enough of the partition's nodes
// have of those that the job can be on.
int cpus_beside_cards(const JobRequest& request, const Partition& partition) {
  std::vector<std::pair<int, int>> shares;  // CPUs, nodes
  for (const NodeKind& kind : partition.kinds) {
    if (has_room(kind, request)) {
      shares.emplace_back(kind.cpus * *request.gpus_per_node / std::max(1, kind.gpus), kind.nodes);
    }
  }
  std::ranges::sort(shares, std::greater());
  int nodes = 0;
  for (const auto& [cpus, more] : shares) {
    nodes += more;
    if (nodes >= request.nodes) {
      return cpus;
    }
  }
  return 1;
}

// What the job asks for on each node where only the experiment says what it needs.
void fill_in(JobRequest& request, const StudyPlan& plan, const Partition& partition) {
  const Resources& resources = plan.resources;
  const Node& section = plan.resources_section;
  const bool gives_threads = section.find("threads") != nullptr;
  if (request.ntasks_per_node && !request.cpus_per_task && gives_threads) {
    request.cpus_per_task = resources.threads;
  }
  if (request.ntasks_per_node || request.cpus_per_task || request.exclusive || partition.kinds.empty()) {
    return;
  }
  if (request.gpus_per_node && *request.gpus_per_node > 0) {
    const int ranks = *request.gpus_per_node * resources.ranks_per_gpu;
    const int cpus = cpus_beside_cards(request, partition);
    request.ntasks_per_node = ranks;
    request.cpus_per_task = gives_threads ? resources.threads : std::max(1, cpus / ranks);
  } else if (section.find("crews") != nullptr) {
    // A crew stays on a node where it can.
    const bool whole = resources.crews >= request.nodes;
    request.ntasks_per_node = whole ? divide_up(resources.crews, request.nodes) * resources.ranks
                                    : divide_up(resources.crews * resources.ranks, request.nodes);
    request.cpus_per_task = gives_threads ? resources.threads : 1;
  } else {
    request.exclusive = true;  // as many crews as the nodes have room for
    request.memory = request.memory.empty() ? "0" : request.memory;  // all of it
  }
}

// Whether the nodes could hold a single crew if the job had all of their CPUs, as some partitions give them.
Status check_crew(const JobRequest& request, const StudyPlan& plan, const Partition& partition) {
  if (partition.kinds.empty() || plan.resources.launcher == "mpirun") {
    return {};
  }
  const int cpus = std::ranges::max_element(partition.kinds, {}, &NodeKind::cpus)->cpus;
  const bool on_cards = request.gpus_per_node.value_or(0) > 0 && why_no_cards(plan).empty();
  Resources resources = plan.resources;
  return settle_room(resources, plan.resources_section,
                     {.allocation = {.job = "",
                                     .node_list = "",
                                     .cpus = std::vector<int>(static_cast<std::size_t>(request.nodes), cpus),
                                     .gpus_a_node = request.gpus_per_node.value_or(0),
                                     .cpus_a_task = request.cpus_per_task,
                                     .memory_a_node = std::nullopt,
                                     .memory_a_cpu = std::nullopt},
                      .on_cards = on_cards});
}

Status check_hosts(const StudyPlan& plan) {
  for (const char* key : {"hosts", "hostfile"}) {
    const Node* const found = plan.resources_section.find(key);
    if (found != nullptr && !found->is_null()) {
      return mistake_at(found->place(),
                        fmt::format("{}: Slurm chooses the hosts of a job: leave them out", key));
    }
  }
  return {};
}

Result<std::vector<std::string>> setup_lines(const SubmitOptions& options) {
  std::vector<std::string> lines = options.setup;
  if (!options.setup_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text, read_file(options.setup_file));
    lines.insert(lines.begin(), text.ends_with('\n') ? text.substr(0, text.size() - 1) : text);
  }
  return lines;
}

Result<std::string> script_of(const SubmitOptions& options, const StudyPlan& plan, const fs::path& folder) {
  JobRequest request = options.request;
  ASSIGN_OR_RETURN(const auto partitions, find_partitions());
  ASSIGN_OR_RETURN(const Partition partition, choose_partition(request, partitions));
  fill_in(request, plan, partition);
  ASSIGN_OR_RETURN(const Partition filled, choose_partition(request, partitions));
  RETURN_IF_ERROR(check_crew(request, plan, filled));
  ASSIGN_OR_RETURN(const fs::path program, this_program());
  ASSIGN_OR_RETURN(std::vector<std::string> setup, setup_lines(options));
  return write_batch_script({.study = plan.experiment.name,
                             .folder = fs::absolute(folder).lexically_normal(),
                             .program = program,
                             .request = request,
                             .setup = std::move(setup)});
}

// A study that could not be submitted was never started: nothing of it stays.
class UnlessKept {
 public:
  explicit UnlessKept(fs::path folder) : folder_(std::move(folder)) {}
  UnlessKept(const UnlessKept&) = delete;
  UnlessKept& operator=(const UnlessKept&) = delete;
  ~UnlessKept() {
    std::error_code ignored;
    if (!folder_.empty()) {
      fs::remove_all(folder_, ignored);
    }
  }
  void keep() { folder_.clear(); }

 private:
  fs::path folder_;
};

// Hands in the study's script and tells what to do next. `made`: the folder that the job needs from then on.
Result<int> hand_in(const fs::path& folder, UnlessKept* made = nullptr) {
  ASSIGN_OR_RETURN(const std::string job, submit_script(batch_script_file(folder), {}));
  if (made != nullptr) {
    made->keep();
  }
  SubmittedJobs submitted = read_submitted_jobs(folder);
  submitted.jobs.push_back(job);
  submitted.starts.clear();  // progress is counted from here
  RETURN_IF_ERROR(write_submitted_jobs(folder, submitted));
  print_out(
      "job {} will run the study {}\n\n  squeue -j {}      when it starts\n  regatta status {}\n  scancel {} "
      "       "
      "  ends it; `regatta submit {}` goes on\n",
      job, folder.string(), job, folder.string(), job, folder.string());
  return kExitDone;
}

Result<int> submit_new(SubmitOptions& options) {
  options.study.file = options.what;
  ASSIGN_OR_RETURN(const auto plan, Session::check(options.study));
  const Experiment& experiment = plan->experiment;
  if (is_table_study(experiment)) {
    return user_mistake("a study that looks its trials up in a table takes seconds: use `regatta run`");
  }
  RETURN_IF_ERROR(check_hosts(*plan));
  ASSIGN_OR_RETURN(const std::string script, script_of(options, *plan, options.study.runs / experiment.name));
  if (options.dry_run) {
    print_out("{}", script);
    return kExitDone;
  }
  ASSIGN_OR_RETURN(const fs::path folder, make_study_folder(options.study.runs, experiment.name));
  UnlessKept made(folder);
  ASSIGN_OR_RETURN(const auto store, Store::create(folder, experiment, encode_learned(plan->search.earlier)));
  RETURN_IF_ERROR(store->close());
  RETURN_IF_ERROR(write_file_atomically(batch_script_file(folder), script));
  return hand_in(folder, &made);
}

// A job of this study that has not ended, which a second one would only wait for and fail beside.
Status refuse_second(const fs::path& folder) {
  for (const std::string& id : read_submitted_jobs(folder).jobs) {
    ASSIGN_OR_RETURN(const auto job, find_job(id));
    if (job && job->is_ending()) {
      return user_mistake(
          fmt::format("job {} of {} is {}: wait until it has ended, and see whether it is requeued", id,
                      folder.string(), job->state));
    }
    if (job && (job->is_waiting() || job->is_running())) {
      return user_mistake(
          fmt::format("{} is in the queue already: job {} is {}; end it with `scancel {}` first",
                      folder.string(), id, job->state, id));
    }
  }
  return {};
}

// Submits with the script that there is, with one that fits changed resources, or with a new one.
Result<int> submit_again(SubmitOptions options, const fs::path& folder) {
  RETURN_IF_ERROR(check_resume_overrides(options.study.overrides));
  std::vector<std::string> overrides = earlier_overrides(folder);
  overrides.insert(overrides.end(), options.study.overrides.begin(), options.study.overrides.end());
  ASSIGN_OR_RETURN(StoredStudy stored, Store::read(folder));
  ASSIGN_OR_RETURN(const StudyView view,
                   rebuild_study(folder, std::move(stored), overrides, {.check_training = false}));
  view.study->resume(false, SystemClock().wall());  // in memory only: whether there is more to do
  if (view.study->ended() && view.study->ended()->reason != StudyEnded::Reason::interrupted) {
    print_out("{}", describe_ended(*view.study, folder));
    return exit_code_of(*view.study);
  }
  RETURN_IF_ERROR(check_hosts(*view.plan));
  RETURN_IF_ERROR(refuse_second(folder));
  const bool changed = std::ranges::any_of(
      options.study.overrides, [](const std::string& line) { return line.starts_with("resources."); });
  const bool has_script = !options.any_request && fs::exists(batch_script_file(folder));
  std::string script;
  if (has_script) {
    ASSIGN_OR_RETURN(script, read_file(batch_script_file(folder)));
  }
  if (has_script && changed) {
    EarlierScript earlier = read_batch_script(script);
    options.request = std::move(earlier.request);
    options.setup = std::move(earlier.setup);
  }
  if (!has_script || changed) {
    ASSIGN_OR_RETURN(script, script_of(options, *view.plan, folder));
  }
  if (options.dry_run) {
    print_out("{}", script);
    return kExitDone;
  }
  if (!options.study.overrides.empty()) {
    RETURN_IF_ERROR(keep_overrides(folder, overrides));
  }
  RETURN_IF_ERROR(write_file_atomically(batch_script_file(folder), script));
  return hand_in(folder);
}

Result<int> submit(SubmitOptions& options) {
  RETURN_IF_ERROR(check_client());
  RETURN_IF_ERROR(check_texts(options.request));
  if (fs::is_regular_file(options.what)) {
    return submit_new(options);
  }
  ASSIGN_OR_RETURN(const fs::path folder, find_study(options.what));
  if (options.study.name) {
    return user_mistake("--name: the study of " + folder.string() + " has its name already");
  }
  return submit_again(options, folder);
}

constexpr const char* kJobGroup = "The job";

void add_job_options(CLI::App& command, JobRequest& request) {
  constexpr const char* kGroup = kJobGroup;
  const CLI::Range positive(1, 1'000'000);
  command.add_option("--nodes,-N", request.nodes, "nodes")
      ->capture_default_str()
      ->check(positive)
      ->group(kGroup);
  command
      .add_option("--time,-t", request.time,
                  "time limit of one job, as sbatch takes it; the study may take longer")
      ->group(kGroup);
  command.add_option("--partition,-p", request.partition, "partition")->group(kGroup);
  command.add_option("--gpus-per-node", request.gpus_per_node, "GPUs a node")->check(positive)->group(kGroup);
  command.add_option("--ntasks-per-node", request.ntasks_per_node, "ranks a node, of all crews together")
      ->check(positive)
      ->group(kGroup);
  command.add_option("--cpus-per-task,-c", request.cpus_per_task, "CPUs (threads) a rank")
      ->check(positive)
      ->group(kGroup);
  command.add_option("--mem", request.memory, "memory a node, e.g. 16G")->group(kGroup);
  command.add_option("--account,-A", request.account, "account")->group(kGroup);
  command.add_option("--qos", request.qos, "quality of service")->group(kGroup);
  command
      .add_flag("--exclusive", request.exclusive,
                "whole nodes; so it is where nothing else says how many CPUs")
      ->group(kGroup);
  command
      .add_option("--sbatch", request.options,
                  "a further option of sbatch, e.g. --sbatch=--constraint=ib; may be repeated")
      ->allow_extra_args(false)
      ->group(kGroup);
  command
      .add_option("--save-seconds", request.save_seconds,
                  "how long before the time limit the study saves and gives way to its next job")
      ->capture_default_str()
      ->check(CLI::Range(30, 65535))
      ->group(kGroup);
}

}  // namespace

void add_submit_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "submit", "run a study as a Slurm job, which is requeued until the study has ended");
  const auto options = std::make_shared<SubmitOptions>();
  command
      ->add_option("WHAT", options->what,
                   "an experiment (YAML), or the folder or name of a study to go on with")
      ->required();
  command
      ->add_option(
          "--set", options->study.overrides,
          "change a value of the file: KEY=VALUE; for an earlier study search.stop.… or resources.…; may "
          "be repeated")
      ->allow_extra_args(false);
  command->add_option("--name", options->study.name, "the study's name, in place of the experiment's");
  command->add_option("--runs-dir", options->study.runs, "where the study's folder is made")
      ->capture_default_str();
  command
      ->add_option(
          "--setup", options->setup,
          "a line of shell before regatta starts, e.g. --setup 'module load openmpi'; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--setup-file", options->setup_file, "a file of such lines")->check(CLI::ExistingFile);
  command->add_flag("--dry-run", options->dry_run, "print the batch script; make and submit nothing");
  add_job_options(*command, options->request);
  command->callback([options, command, &action] {
    const auto all = command->get_options();
    options->any_request = std::ranges::any_of(all, [&](const CLI::Option* option) {
      const bool of_job = option->get_group() == kJobGroup || option->get_name().starts_with("--setup");
      return of_job && option->count() > 0;
    });
    action = [options] { return submit(*options); };
  });
}

}  // namespace regatta
