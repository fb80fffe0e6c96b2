// Report a performed step as a camera built on dcmjs-dimse does.
//
// node mpps.js PORT SOP_INSTANCE_UID < [{"action": "create" | "set", "attributes": {...}}, ...]
// prints one line a report among its log: 'status', and the DIMSE status in hexadecimal.

const { Client, Dataset, constants, requests } = require('dcmjs-dimse');
const { readFileSync } = require('fs');

const [port, uid] = process.argv.slice(2);
const reports = JSON.parse(readFileSync(0, 'utf8'));
const kinds = { create: requests.NCreateRequest, set: requests.NSetRequest };

function report({ action, attributes }) {
  return new Promise((resolve, reject) => {
    const request = new kinds[action](constants.SopClass.ModalityPerformedProcedureStep, uid);
    request.setDataset(new Dataset(attributes));
    request.on('response', (response) => resolve(response.getStatus()));
    const client = new Client();
    client.on('networkError', reject);
    client.addRequest(request);
    client.send('127.0.0.1', Number(port), 'CAM1', 'PHOTOPEAK');
  });
}

(async () => {
  for (const one of reports) {
    console.log('status ' + (await report(one)).toString(16).padStart(4, '0'));
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
