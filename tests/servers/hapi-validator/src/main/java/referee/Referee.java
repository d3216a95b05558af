package referee;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport.ValueSetExpansionOutcome;
import ca.uhn.fhir.context.support.ValidationSupportContext;
import ca.uhn.fhir.context.support.ValueSetExpansionOptions;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import ca.uhn.fhir.validation.ValidationOptions;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.exceptions.FHIRException;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.context.SimpleWorkerContext;
import org.hl7.fhir.r4.model.Coding;
import org.hl7.fhir.r4.model.ConceptMap;
import org.hl7.fhir.r4.model.Questionnaire;
import org.hl7.fhir.r4.model.ValueSet;
import org.hl7.fhir.r4.model.ValueSet.ValueSetExpansionContainsComponent;
import org.hl7.fhir.r4.terminologies.ConceptMapEngine;
import org.hl7.fhir.utilities.npm.NpmPackage;

/**
 * HAPI's instance validator as a process: one request per line on standard input, one answer per line on
 * standard output, no network.
 *
 * <p>Request: {"resource": {...}, "package": "6.1.0" or "" for R4 alone, "profile": canonical or "", "definitions":
 * folder whose definitions are known too, or ""}. Answer: {"messages": [{"severity", "location", "message"}]}.
 * Arguments: the folder of the US Core packages, then folders of the terminology that the packages only point to.
 *
 * <p>Two more questions are those of a terminology server: {"expand": ValueSet, "definitions"} gives {"codes":
 * ["system|code"]}; {"translate": code, "map": canonical, "definitions"} gives {"coding": "system|code"} or
 * {"refused": why} (the engine asks for no system, and for one match only).
 */
public final class Referee {
  private static final String[] KINDS = {"StructureDefinition", "ValueSet", "CodeSystem"};

  private final FhirContext context = FhirContext.forR4();
  private final ObjectMapper mapper = new ObjectMapper();
  private final Map<String, FhirValidator> validators = new HashMap<>();
  private final Map<String, SimpleWorkerContext> maps = new HashMap<>();
  private final Path packages;
  private final List<Path> terminology;

  private Referee(Path packages, List<Path> terminology) {
    this.packages = packages;
    this.terminology = terminology;
  }

  public static void main(String[] arguments) throws IOException {
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.setOut(System.err); // whatever a library prints is no answer
    List<Path> folders = Arrays.stream(arguments).map(Path::of).toList();
    Referee referee = new Referee(folders.get(0), folders.subList(1, folders.size()));
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      answers.println(referee.answer(line));
    }
  }

  private String answer(String line) throws IOException {
    JsonNode request = mapper.readTree(line);
    String definitions = request.path("definitions").asText();
    if (request.has("expand")) {
      return mapper.writeValueAsString(expanded(request.path("expand").toString(), definitions));
    }
    if (request.has("translate")) {
      String code = request.path("translate").asText();
      return mapper.writeValueAsString(translated(code, request.path("map").asText(), definitions));
    }
    return mapper.writeValueAsString(judged(request, validator(request.path("package").asText(), definitions)));
  }

  private ObjectNode judged(JsonNode request, FhirValidator validator) {
    ValidationOptions options = new ValidationOptions().addProfileIfNotBlank(request.path("profile").asText());
    ObjectNode answer = mapper.createObjectNode();
    ArrayNode messages = answer.putArray("messages");
    String resource = request.path("resource").toString();
    for (SingleValidationMessage message : validator.validateWithResult(resource, options).getMessages()) {
      messages.addObject()
          .put("severity", message.getSeverity().getCode())
          .put("location", Objects.toString(message.getLocationString(), ""))
          .put("message", message.getMessage());
    }
    return answer;
  }

  private ObjectNode expanded(String valueSet, String definitions) throws IOException {
    ValidationSupportChain known = support("", definitions);
    ValueSetExpansionOutcome outcome =
        known.expandValueSet(
            new ValidationSupportContext(known),
            new ValueSetExpansionOptions(),
            context.newJsonParser().parseResource(valueSet));
    ObjectNode answer = mapper.createObjectNode();
    ArrayNode codes = answer.putArray("codes");
    for (ValueSetExpansionContainsComponent each : ((ValueSet) outcome.getValueSet()).getExpansion().getContains()) {
      codes.add(each.getSystem() + "|" + each.getCode());
    }
    return answer;
  }

  private ObjectNode translated(String code, String map, String definitions) throws IOException {
    SimpleWorkerContext known = maps.get(definitions);
    if (known == null) {
      known = new SimpleWorkerContext();
      for (IBaseResource each : resources(Path.of(definitions), "ConceptMap-*.json")) {
        known.cacheResource((ConceptMap) each);
      }
      maps.put(definitions, known);
    }
    ObjectNode answer = mapper.createObjectNode();
    try {
      Coding found = new ConceptMapEngine(known).translate(new Coding().setCode(code), map);
      return answer.put("coding", found == null ? "" : found.getSystem() + "|" + found.getCode());
    } catch (FHIRException refusal) {
      return answer.put("refused", refusal.getMessage());
    }
  }

  private FhirValidator validator(String version, String definitions) throws IOException {
    String key = version + " " + definitions;
    FhirValidator known = validators.get(key);
    if (known != null) {
      return known;
    }
    FhirInstanceValidator rules = new FhirInstanceValidator(support(version, definitions));
    FhirValidator made = context.newValidator().registerValidatorModule(rules);
    validators.put(key, made);
    return made;
  }

  private ValidationSupportChain support(String version, String definitions) throws IOException {
    Definitions own = new Definitions(context);
    if (!definitions.isEmpty()) {
      loadFolder(own, Path.of(definitions));
    }
    if (!version.isEmpty()) {
      for (Path folder : terminology) {
        loadFolder(own, folder);
      }
      loadPackage(own, packages.resolve("hl7.fhir.us.core-" + version + ".tgz"));
    }
    return new ValidationSupportChain(
        own,
        new DefaultProfileValidationSupport(context),
        new CommonCodeSystemsTerminologyService(context),
        new InMemoryTerminologyServerValidationSupport(context),
        new SnapshotGeneratingValidationSupport(context),
        new UnknownCodeSystemWarningValidationSupport(context));
  }

  /** Definitions with the Questionnaires among them, which HAPI's own class does not give back. */
  private static final class Definitions extends PrePopulatedValidationSupport {
    private final Map<String, Questionnaire> questionnaires = new HashMap<>();

    private Definitions(FhirContext context) {
      super(context);
    }

    @Override
    public void addResource(IBaseResource resource) {
      if (resource instanceof Questionnaire form) {
        questionnaires.put(form.getUrl() + "|" + form.getVersion(), form);
      } else {
        super.addResource(resource);
      }
    }

    @Override
    public <T extends IBaseResource> T fetchResource(Class<T> kind, String canonical) {
      Questionnaire form = questionnaires.get(canonical);
      return kind.isInstance(form) ? kind.cast(form) : super.fetchResource(kind, canonical);
    }
  }

  private void loadPackage(PrePopulatedValidationSupport into, Path file) throws IOException {
    try (InputStream stream = Files.newInputStream(file)) {
      NpmPackage contents = NpmPackage.fromPackage(stream);
      for (String name : contents.listResources(KINDS)) {
        into.addResource(parsed(contents.loadResource(name)));
      }
    }
  }

  private void loadFolder(PrePopulatedValidationSupport into, Path folder) throws IOException {
    for (IBaseResource each : resources(folder, "*.json")) {
      into.addResource(each);
    }
  }

  private List<IBaseResource> resources(Path folder, String names) throws IOException {
    List<IBaseResource> found = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, names)) {
      for (Path file : files) {
        found.add(parsed(Files.newInputStream(file)));
      }
    }
    return found;
  }

  private IBaseResource parsed(InputStream resource) throws IOException {
    try (InputStream stream = resource) {
      return context.newJsonParser().parseResource(stream);
    }
  }
}
