// Tables of learning curves: what was accepted has a row for every point and values for every epoch; what was
// refused says where.
#include "data/learning_curves.h"

#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {

std::vector<std::string> fuzz::seeds() {
  return {
      "x,kind,momentum,cost,v1,v2,v3\n0.1,a,0.5,1,0.9,0.8,0.7\n1,b,,2.5,0.9,nan,\n",
      "x,kind,momentum,cost,v1\r\n1e-3,\"a\",0,0,inf\r\n",
      "x,kind,momentum,cost,v1\n0,a,0.5,1,0.9\n",
      "x,kind,momentum,cost,v1,v2\n0.5,a,0.5,1,,0.9\n",
      "kind,v1,v2,x,momentum,cost\n\"b\",1,2,0.5,0.1,-1\n",
      "x,kind,momentum,v1\n0.5,c,0.5,1\n",
      "v1\n1\n",
      "",
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  static const std::string kYaml =
      "objective: {minimize: loss}\n"
      "space:\n"
      "  x: {float: [0.001, 1], log: true}\n"
      "  kind: {choice: [a, b]}\n"
      "  momentum: {float: [0, 1], when: kind == a}\n"
      "table: {path: curves.csv, cost: cost}\n";
  static const Experiment kExperiment = parse_experiment(kYaml, "exp.yaml").value();
  const std::string text(fuzz::text_of(data, size));
  const auto curves = LearningCurves::parse(kExperiment, text);
  if (!curves.ok()) {
    const bool in_table = curves.error().message.starts_with("curves.csv");
    fuzz::check_place(curves.error(), in_table ? "curves.csv" : "exp.yaml", in_table ? text : kYaml);
    return 0;
  }
  CHECK(curves->rows() > 0 && curves->rows() <= curves->rows_in_file());
  for (const Point& point : {Point{0.1, 0, 0.5}, Point{1, 1, std::nullopt}}) {
    const auto row = curves->nearest(point, std::vector<bool>(curves->rows(), false));
    CHECK(row && *row < curves->rows());
    CHECK(curves->epochs_of(*row) >= 1 && curves->epochs_of(*row) <= curves->epochs());
    for (int epoch = 1; epoch <= curves->epochs_of(*row); ++epoch) {
      CHECK(curves->values(*row, epoch).size() == 1);
    }
    CHECK(curves->epoch_seconds(*row).value() >= 0);
  }
  CHECK(!curves->nearest({0.1, 0, 0.5}, std::vector<bool>(curves->rows(), true)));
  return 0;
}
